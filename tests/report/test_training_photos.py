import dataclasses

import numpy as np
import pytest
from PIL import Image

from keras_fpn.data import Dataset, Loader, Objects, Photo
from keras_fpn.data.pixel_labels import SemanticImage
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.report import draw_training_photos
from keras_fpn.visualize import class_color


@pytest.fixture
def dataset(tmp_path):
    """A wide photo with a box on its left half, and a high one without objects."""
    photos = []
    for number, (height, width) in enumerate([(20, 50), (50, 20)]):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (width, height), (200, 200, 200)).save(path)
        boxes = np.array([[0, 0, 25, 20]][: 1 - number], np.float32).reshape(-1, 4)
        objects = Objects(boxes, [0] * len(boxes), [False] * len(boxes))
        photos.append(Photo(number, path, height, width, objects))
    return Dataset(tuple(photos), ("cat",), (7,))


def loader_of(dataset):
    preprocessing = Preprocessing(min_size=80, max_size=100)
    return Loader(dataset, preprocessing, batch_size=1, on_error="skip")


def test_photos_are_drawn_as_resized_and_together(dataset, tmp_path, capsys):
    out = tmp_path / "out"
    drawn = draw_training_photos(loader_of(dataset), out, count=5)
    assert drawn == [out / "0.jpg", out / "1.jpg"]
    assert sorted(path.name for path in out.iterdir()) == [
        "0.jpg",
        "1.jpg",
        "contact_sheet.jpg",
    ]
    with Image.open(drawn[0]) as picture:  # 40x100, enlarged 7 times, under a title
        assert picture.width == 700
        assert picture.height > 280
        assert np.ptp(np.asarray(picture)[-3, 100].astype(int)) > 20  # the box's line
    with Image.open(drawn[1]) as picture:
        picture.thumbnail((400, 400))
        narrow = picture.width
    with Image.open(out / "contact_sheet.jpg") as sheet:
        assert narrow < 300
        assert sheet.size == (8 + 400 + 8 + narrow + 8, 8 + 400 + 8)
    assert capsys.readouterr() == ("", "")


def test_photos_of_one_shape_stand_without_bands_between_them(dataset, tmp_path):
    photos = [dataclasses.replace(dataset[0], image_id=number) for number in range(3)]
    wide = dataclasses.replace(dataset, photos=tuple(photos))
    drawn = draw_training_photos(loader_of(wide), tmp_path, count=5)
    with Image.open(drawn[0]) as picture:
        picture.thumbnail((400, 400))
        height = picture.height
    assert height < 300
    with Image.open(tmp_path / "contact_sheet.jpg") as sheet:
        assert sheet.size == (3 * 8 + 2 * 400, 3 * 8 + 2 * height)
        pixels = np.asarray(sheet).astype(int)
    white = (pixels > 250).all(axis=2)
    assert white[:5].all()
    assert not white[8 : 8 + height, 8:408].all(axis=1).any()
    assert not white[16 + height : 16 + 2 * height, 8:408].all(axis=1).any()
    assert white[10 + height + 2 : 14 + height].all()
    assert white[20 + height :, 420:].all()  # no fourth photo


@pytest.mark.parametrize(("names", "numbers"), [(["a"], (0, 1)), (["a", "b"], (0, 0))])
def test_objects_of_the_only_class_have_own_colors(tmp_path, names, numbers):
    path = tmp_path / "a.png"
    Image.new("RGB", (500, 400), (200, 200, 200)).save(path)
    boxes = np.array([[50, 200, 150, 300], [250, 200, 350, 300]], np.float32)
    photo = Photo(1, path, 400, 500, Objects(boxes, [0, 0], [False] * 2))
    loader = Loader(
        Dataset((photo,), tuple(names), tuple(range(len(names)))),
        Preprocessing(min_size=400, max_size=500),
        batch_size=1,
    )
    [drawn] = draw_training_photos(loader, tmp_path / "out", 1)
    with Image.open(drawn) as picture:
        pixels = np.asarray(picture)[-150]  # a row through both boxes, below the title
    for x1, number in zip((50, 250), numbers, strict=True):
        np.testing.assert_allclose(pixels[x1 - 3], class_color(number), atol=20)


def test_no_more_photos_are_drawn_than_asked_for(dataset, tmp_path):
    assert len(draw_training_photos(loader_of(dataset), tmp_path / "out", 1)) == 1


def test_photos_that_cannot_be_read_are_left_out(dataset, tmp_path):
    loader = loader_of(dataset)
    dataset.photos[0].path.write_bytes(b"no image")
    with pytest.warns(UserWarning, match="0.png"):
        drawn = draw_training_photos(loader, tmp_path / "out", 2)
    assert [path.name for path in drawn] == ["1.jpg"]
    assert list(loader.skipped) == [0]


def test_semantic_maps_are_drawn_and_boxes_stay_in_place(dataset, tmp_path):
    for photo in dataset.photos:
        labels = np.ones((photo.height, photo.width), np.uint8)
        labels[:, : photo.width // 2] = 255
        Image.fromarray(labels).save(photo.path.with_suffix(".map.png"))
    labeled = dataclasses.replace(
        dataset,
        photos=tuple(
            dataclasses.replace(
                photo,
                pixel_labels=SemanticImage(photo.path.with_suffix(".map.png"), (0, 1)),
            )
            for photo in dataset.photos
        ),
        class_names=("cat", "sky"),
        category_ids=(7, 8),
    )
    pictures = []
    for semantic in (False, True):
        preprocessing = Preprocessing(min_size=80, max_size=100)
        loader = Loader(labeled, preprocessing, batch_size=1, semantic=semantic)
        [path] = draw_training_photos(loader, tmp_path / f"out {semantic}", 1)
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture).astype(int))
    plain, tinted = pictures
    assert plain.shape == tinted.shape
    # The left half is ignored, and has the same box; JPEG blurs what is near the other.
    assert abs(plain[:, :320] - tinted[:, :320]).max() < 40
    assert abs(plain[-100:, 400:650] - tinted[-100:, 400:650]).mean() > 20
