"""The loader: what is in a batch, which shapes, and what becomes of damaged photos."""

import dataclasses

import numpy as np
import pytest
from data.painted import (
    FIRST_ID,
    SIZES,
    SMALL,
    check_same,
    color,
    flat,
    painted_dataset,
)
from PIL import Image

from keras_fpn.data import (
    CopyPaste,
    Dataset,
    LargeScaleJitter,
    MultiScale,
    Photometric,
    RandomFlip,
    SafeCrop,
)
from keras_fpn.data.batches import Batch
from keras_fpn.data.loader import ArraySpec, Loader
from keras_fpn.preprocessing import read_photo, resized_size

ALL = (RandomFlip(), SafeCrop(), Photometric(), MultiScale((16, 24, 32), 64))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return painted_dataset(tmp_path_factory.mktemp("painted"))


def loaded(loader, epoch=0):
    """An epoch's batches with their plan."""
    return [(batch, loader.load(batch, epoch)) for batch in loader.batches(epoch)]


def test_a_batch_is_what_the_detector_takes(dataset):
    loader = Loader(dataset, SMALL, 2)
    x, y, weight = loader.load(Batch((0, 2), (48, 96)), epoch=0)
    assert {
        name: (a.dtype.name, a.shape) for name, a in flat((x, y, weight)).items()
    } == {
        "images": ("float32", (2, 48, 96, 3)),
        "image_sizes": ("float32", (2, 2)),
        "boxes": ("float32", (2, 2, 4)),
        "labels": ("int32", (2, 2)),
        "is_crowd": ("bool", (2, 2)),
        "image_ids": ("int32", (2,)),
        "photo_sizes": ("int32", (2, 2)),
        "sample_weight": ("float32", (2,)),
    }
    # 20 x 50 becomes 64 wide, so 25 high (25.6); 30 x 30 becomes 32 x 32.
    np.testing.assert_array_equal(x["image_sizes"], [[25, 64], [32, 32]])
    np.testing.assert_array_equal(y["photo_sizes"], [[20, 50], [30, 30]])
    expected = np.zeros((2, 48, 96, 3), np.float32)
    expected[0, :25, :64], expected[1, :32, :32] = color(0), color(2)
    np.testing.assert_array_equal(x["images"], expected)
    # Photo 2 has two objects, 2 of 30 pixels wide and as high as the photo.
    wide = np.float32(2 * 32 / 30)
    boxes = [[0, 0, wide, 32], [wide, 0, 2 * wide, 32]]
    np.testing.assert_array_equal(y["boxes"], [np.zeros((2, 4)), boxes])
    np.testing.assert_array_equal(y["labels"], [[-1, -1], [0, 1]])
    np.testing.assert_array_equal(y["image_ids"], [FIRST_ID + 6, FIRST_ID + 4])
    np.testing.assert_array_equal(weight, [1, 1])
    assert not y["is_crowd"].any()


def test_unaugmented_images_are_exactly_those_of_detection(data_folder):
    folder = data_folder / "coco_cc"
    from keras_fpn.data import read_coco
    from keras_fpn.preprocessing import Preprocessing

    annotations = folder / "instances_val_seg.json"
    dataset = read_coco(annotations, images=folder / "images", report=None)[:4]
    small = Preprocessing(min_size=200, max_size=333)
    loader = Loader(dataset, small, 2)
    for batch, (x, y, _) in loaded(loader):
        photos = [dataset[index] for index in batch.indices]
        inputs, sizes = small.prepare([read_photo(photo.path) for photo in photos])
        np.testing.assert_array_equal(x["images"], inputs["images"])
        np.testing.assert_array_equal(x["image_sizes"], inputs["image_sizes"])
        for row, (photo, size) in enumerate(zip(photos, sizes, strict=True)):
            scale = np.tile(np.divide(size, (photo.height, photo.width))[::-1], 2)
            boxes = photo.objects.boxes
            found = y["boxes"][row, : len(boxes)]
            np.testing.assert_allclose(found, boxes * scale, rtol=1e-6)
            np.testing.assert_array_equal(
                y["labels"][row, : len(boxes)], photo.objects.labels
            )


def test_the_detectors_resize_rule_holds_in_batches(dataset):
    own = dataclasses.replace(SMALL, resize_rule="detectron2")
    seen = set()
    for batch, (x, _, _) in loaded(Loader(dataset, own, 2)):
        photos = [read_photo(dataset[index].path) for index in batch.indices]
        inputs, sizes = own.prepare(photos)
        np.testing.assert_array_equal(x["images"], inputs["images"])
        np.testing.assert_array_equal(x["image_sizes"], inputs["image_sizes"])
        seen |= set(sizes)
    assert (26, 64) in seen  # 20 x 50 becomes 25.6 high, rounded up


def test_photos_without_objects_are_kept_and_count(dataset):
    loader = Loader(dataset, SMALL, 3)
    ids, without = [], 0
    for _, (_, y, weight) in loaded(loader):
        ids += y["image_ids"].tolist()
        without += (y["labels"] < 0).all(axis=1).sum()
        assert (weight == 1).all()
    assert sorted(ids) == list(range(FIRST_ID, FIRST_ID + 7))
    assert without == 3  # places 0, 3, 6


def test_a_data_set_without_any_object_has_one_place_for_padding(tmp_path):
    dataset = painted_dataset(tmp_path, SIZES[:2], counts=[0, 0])
    _, y, _ = Loader(dataset, SMALL, 2).load(Batch((0, 1), (64, 64)), 0)
    assert y["boxes"].shape == (2, 1, 4)
    assert (y["labels"] == -1).all()


def test_a_batch_is_completed_by_pixels_of_its_photos_without_weight(dataset):
    loader = Loader(dataset, SMALL, 4, fill=True)
    assert len(loader) == 2
    batch = loader.batches(0)[-1]
    assert batch.indices[-1] == ~batch.indices[0]
    x, y, weight = loader.load(batch, 0)
    np.testing.assert_array_equal(weight, [1, 1, 1, 0])
    assert x["images"][0].any()
    for values in x.values():
        np.testing.assert_array_equal(values[-1], values[0])
    np.testing.assert_array_equal(y["photo_sizes"][-1], x["images"].shape[1:3])
    assert y["image_ids"][-1] == -1
    assert (y["labels"][-1] == -1).all()


def test_a_batch_may_need_more_pixels_than_it_has_photos(dataset):
    indices = [one.indices for one in Loader(dataset, SMALL, 5, fill=True).batches(0)]
    assert indices == [(0, 1, 2, 3, 4), (5, 6, ~5, ~6, ~5)]


def test_keypoints_come_along(tmp_path):
    dataset = painted_dataset(tmp_path, joints=2)
    loader = Loader(dataset, SMALL, 1)
    _, y, _ = loader.load(Batch((2,), (48, 48)), 0)
    assert (y["keypoints"].dtype, y["keypoints"].shape) == ("float32", (1, 2, 2, 3))
    point = [np.float32(32 / 30)] * 2 + [2]
    np.testing.assert_array_equal(y["keypoints"][0], [[point] * 2] * 2)
    assert not loader.load(Batch((3,), (48, 48)), 0)[1]["keypoints"].any()


def test_all_loads_are_functions_of_seed_and_epoch(dataset):
    def loader(seed):
        return Loader(dataset, SMALL, 3, ALL, seed=seed, shuffle=True)

    first, again = loader(1), loader(1)
    plan = again.batches(4)
    for batch in reversed(plan):  # in another order, and after other epochs
        again.load(batch, 0)
        check_same(first.load(batch, 4), again.load(batch, 4))
    whole = Batch(tuple(range(7)), (64, 64))
    images = [
        loader(seed).load(whole, epoch)[0]["images"].tobytes()
        for seed, epoch in [(1, 0), (1, 1), (2, 0)]
    ]
    assert len(set(images)) == 3


@pytest.mark.parametrize("shapes", [None, "buckets", [(64, 64)]])
def test_every_epoch_has_as_many_batches_whatever_is_drawn(dataset, shapes):
    loader = Loader(dataset, SMALL, 2, ALL, shuffle=True, shapes=shapes)
    for epoch in range(6):
        assert len(loader.batches(epoch)) == len(loader)


def test_a_batch_of_multiscale_shares_one_length(dataset):
    # Photos whose shorter side decides, so that each is as long as was drawn.
    loader = Loader(dataset[2:4], SMALL, 2, [MultiScale((16, 32, 48), 99)])
    drawn = set()
    for epoch in range(20):
        ((batch, (x, _, _)),) = loaded(loader, epoch)
        shorter = x["image_sizes"].min(axis=1)
        assert shorter[0] == shorter[1] == (16, 32, 48)[batch.scale]
        assert x["images"].shape[1] == shorter[0]
        drawn.add(float(shorter[0]))
    assert drawn == {16, 32, 48}


def test_buckets_exist_for_every_scale(dataset):
    loader = Loader(dataset, SMALL, 2, [MultiScale((16, 32), 64)], shapes="buckets")
    assert len(loader.shapes) == 6
    for epoch in range(10):
        for batch in loader.batches(epoch):
            assert batch.shape in loader.shapes
            assert min(batch.shape) == (16, 32)[batch.scale]


def test_jitter_fills_its_square(dataset):
    loader = Loader(dataset, SMALL, 2, [LargeScaleJitter(48, 0.5, 1.5)], shuffle=True)
    assert loader.image_shape == (48, 48)
    for _, (x, _, _) in loaded(loader):
        assert x["images"].shape[1:3] == (48, 48)
        assert (x["image_sizes"] == 48).all()


def test_crops_are_resized_into_the_shape_of_their_batch(dataset):
    crop = SafeCrop(probability=1.0, low=0.02)
    loader = Loader(dataset, SMALL, 1, [crop], shapes="buckets")
    shrunk = 0
    for epoch in range(30):
        for batch, (x, y, _) in loaded(loader, epoch):
            size = x["image_sizes"][0]
            assert (size >= 1).all()
            assert (size <= batch.shape).all()
            shrunk += size.min() < 32 and size.max() < 64  # held by its batch alone
            if batch.indices[0] % 3:
                assert (y["labels"] >= 0).any()
    assert shrunk > 0


def test_pasted_objects_come_from_another_photo(tmp_path):
    dataset = painted_dataset(tmp_path, [(32, 32)] * 6, counts=[1] * 6)
    loader = Loader(dataset, SMALL, 6, [CopyPaste(share=1.0)], masks=True)
    batch = loader.batches(0)[0]
    assert loader.max_objects == 2
    sources = set()
    for epoch in range(5):
        x, y, _ = loader.load(batch, epoch)
        for place in range(6):
            # The object of one photo covers that of another: same place, same size.
            np.testing.assert_array_equal(y["labels"][place], [0, -1])
            red = int(x["images"][place, 0, 0, 0])
            sources.add((place, red - color(0)[0]))
            np.testing.assert_array_equal(x["images"][place, 0, 5], color(place))
    assert len({place for place, source in sources if place != source}) == 6
    boxes_only = Loader(dataset, SMALL, 6, [CopyPaste(share=1.0)])
    x_again, y_again, _ = boxes_only.load(batch, 4)
    np.testing.assert_array_equal(x_again["images"], x["images"])
    assert "masks" not in y_again


def test_photos_with_too_many_objects_keep_the_largest(tmp_path):
    dataset = painted_dataset(tmp_path, [(32, 32), (32, 64)], counts=[3, 1])
    objects = dataset[0].objects
    boxes = np.array([[0, 0, 9, 9], [0, 0, 20, 20], [0, 0, 10, 10]], np.float32)
    crowd = [False, True, False]
    objects = dataclasses.replace(objects, boxes=boxes, is_crowd=crowd, segments=None)
    photos = (dataclasses.replace(dataset[0], objects=objects), dataset[1])
    dataset = dataclasses.replace(dataset, photos=photos)
    with pytest.warns(
        UserWarning, match="1 photos have more objects, up to 3, than max"
    ):
        loader = Loader(dataset, SMALL, 1, max_objects=2)
    _, y, _ = loader.load(loader.batches(0)[0], 0)
    np.testing.assert_array_equal(y["labels"], [[0, 2]])  # the crowd region gives way
    np.testing.assert_array_equal(y["boxes"][0], boxes[[0, 2]])
    assert Loader(dataset, SMALL, 1, max_objects=5).max_objects == 5


@pytest.fixture
def damaged(tmp_path):
    """Photo 3 is cut off in the middle of its pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    dataset = painted_dataset(tmp_path, [(40, 60)] * 5, counts=[1] * 5)
    Image.fromarray(noise).save(dataset[3].path)
    content = dataset[3].path.read_bytes()
    dataset[3].path.write_bytes(content[: len(content) // 2])
    return dataset


def test_a_damaged_photo_stops_with_its_name(damaged):
    loader = Loader(damaged, SMALL, 2)
    batches = loader.batches(0)
    loader.load(batches[0], 0)
    with pytest.raises(ValueError, match=r"3\.png \(image id 101\): .*on_error='skip'"):
        loader.load(batches[1], 0)
    loader.load(batches[2], 0)


def test_a_damaged_photo_is_skipped_and_named_on_demand(damaged):
    loader = Loader(damaged, SMALL, 2, on_error="skip")
    with pytest.warns(UserWarning, match=r"skipped: .*3\.png \(image id 101\)"):
        x, y, weight = loader.load(loader.batches(0)[1], 0)
    np.testing.assert_array_equal(weight, [1, 0])
    np.testing.assert_array_equal(y["image_ids"], [102, -1])
    assert not x["images"][1].any()
    assert (y["labels"][1] == -1).all()
    assert list(loader.skipped) == [101]
    assert "3.png" in loader.skipped[101]


def test_a_damaged_photo_is_not_pasted_from(damaged):
    loader = Loader(damaged, SMALL, 4, [CopyPaste()], on_error="skip")
    batch = Batch((0, 1, 2, 4), (32, 48))
    with pytest.warns(UserWarning, match=r"3\.png"):
        weights = [loader.load(batch, epoch)[2] for epoch in range(8)]
    np.testing.assert_array_equal(weights, np.ones((8, 4)))


def test_a_photo_of_another_size_than_annotated_is_an_error(dataset):
    photos = (dataclasses.replace(dataset[0], height=21),)
    loader = Loader(dataclasses.replace(dataset, photos=photos), SMALL, 1)
    with pytest.raises(
        ValueError, match=r"\(21, 50\); received .*0\.png, .*\(20, 50\)"
    ):
        loader.load(loader.batches(0)[0], 0)


def test_specs_say_which_sides_are_fixed(dataset):
    def images(**options):
        loader = Loader(dataset, SMALL, 2, **options)
        return loader.specs()[0]["images"]

    assert images() == ArraySpec((None, None, None, 3), "float32")
    fixed = images(shapes=[(64, 64)], fill=True)
    assert fixed == ArraySpec((2, 64, 64, 3), "float32")
    # All photos of 20 x 30 become 32 x 48.
    loader = Loader(dataset[3:4], SMALL, 2, masks=True)
    assert loader.image_shape == (32, 48)
    assert loader.specs()[1]["masks"] == ArraySpec((None, 1, 56, 56), "uint8")


def test_arrays_are_as_their_specs_say(tmp_path):
    dataset = painted_dataset(tmp_path, joints=1)
    loader = Loader(dataset, SMALL, 2, masks=True, shapes="buckets", fill=True)
    specs = flat(loader.specs())
    for _, arrays in loaded(loader):
        for name, array in flat(arrays).items():
            assert array.dtype == specs[name].dtype
            pairs = zip(array.shape, specs[name].shape, strict=True)
            assert all(wanted in (None, side) for side, wanted in pairs), name


def with_ids(dataset, *ids):
    pairs = zip(dataset.photos, ids, strict=False)
    photos = [dataclasses.replace(photo, image_id=number) for photo, number in pairs]
    return dataclasses.replace(dataset, photos=tuple(photos))


def test_ids_must_be_different_and_fit_into_int32(dataset):
    with pytest.raises(ValueError, match="received several of image_id=5"):
        Loader(with_ids(dataset, 4, 5, 5), SMALL, 1)
    with pytest.raises(ValueError, match="received 1 to 2147483648"):
        Loader(with_ids(dataset, 1, 2**31), SMALL, 1)
    with pytest.raises(ValueError, match="received -1 to 1"):
        Loader(with_ids(dataset, 1, -1), SMALL, 1)
    Loader(with_ids(dataset, 0, 2**31 - 1), SMALL, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "received batch_size=0"),
        ({"on_error": "ignore"}, "'skip' or 'drop'; received on_error='ignore'"),
        ({"shapes": "bucket"}, "received shapes='bucket'"),
        (
            {"shapes": [(64, 60)]},
            r"multiples of 16, .*, of which \[\(64, 60\)\] are not",
        ),
        ({"shapes": [(32, 64)]}, r"received shapes=\[\(32, 64\)\], and photo 1"),
        ({"max_objects": 0}, "received max_objects=0"),
        (
            {"augment": [MultiScale(), LargeScaleJitter()]},
            r"At most one augmentation may resize; received \[MultiScale",
        ),
    ],
)
def test_wrong_options_are_refused(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        Loader(dataset, SMALL, **{"batch_size": 2, **options})


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="received the data set 'bare' with none"):
        Loader(Dataset((), ("a",), (1,), name="bare"), SMALL, 1)


@pytest.mark.parametrize("options", [{"masks": True}, {"augment": [CopyPaste()]}])
def test_masks_that_are_not_there_are_refused_at_once(tmp_path, options):
    dataset = painted_dataset(tmp_path, segments=False)
    with pytest.raises(ValueError, match=r"received 4 without, such as .*1\.png\."):
        Loader(dataset, SMALL, 2, **options)


def test_a_photo_too_oblong_to_resize_is_named(tmp_path):
    dataset = painted_dataset(tmp_path, [(20, 20), (1, 200)])
    with pytest.raises(ValueError, match=r"1\.png: .*received size=\(1, 200\)"):
        Loader(dataset, SMALL, 1)
    assert resized_size((1, 60), 32, 64) == (1, 64)
