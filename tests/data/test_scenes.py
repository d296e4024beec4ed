import ast
import hashlib
import itertools
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_fpn.data import read_coco
from keras_fpn.data.sample import load_sample
from keras_fpn.data.scenes import (
    CLASS_NAMES,
    SceneSettings,
    datasets,
    scene,
    scene_dataset,
    write_scenes,
)
from keras_fpn.data.scenes.composition import compose
from keras_fpn.data.segments import label_image_objects
from keras_fpn.preprocessing import read_photo

SMALL = {"size": (96, 128), "objects": (3, 6)}


def drawn_scenes(count, **choices):
    return [scene(5, index, **choices) for index in range(count)]


# --- the same everywhere -------------------------------------------------------------


def test_a_scene_is_a_function_of_seed_and_index():
    one, other = scene(3, 8, **SMALL), scene(3, 8, **SMALL)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])
    for different in (scene(3, 9, **SMALL), scene(4, 8, **SMALL)):
        assert (different["image"] != one["image"]).mean() > 0.5


def test_a_scene_does_not_depend_on_what_was_drawn_before():
    images = [sample["image"] for sample in drawn_scenes(3, **SMALL)]
    for index in (2, 0, 1):
        np.testing.assert_array_equal(scene(5, index, **SMALL)["image"], images[index])


# Imports what random, without the package around it: that needs NumPy and no more.
DIGEST = """
import hashlib, pathlib, sys, types
root = pathlib.Path(sys.argv[1])
for name in ("keras_fpn", "keras_fpn.data", "keras_fpn.data.scenes"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")))]
from keras_fpn.data.scenes.composition import compose
for index in range(4):
    drawn = compose(5, index, (256, 200), (6, 9), (8, None))
    print(hashlib.sha256(drawn.pixels.tobytes() + drawn.owner.tobytes()).hexdigest())
assert not {"keras", "tensorflow", "jax", "PIL"} & set(sys.modules)
"""


def test_a_processor_without_vector_instructions_draws_the_same_bits(repository_root):
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    used = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    printed = subprocess.run(
        [sys.executable, "-c", DIGEST, repository_root],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(used)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    expected = []
    for index in range(4):
        drawn = compose(5, index, (256, 200), (6, 9), (8, None))
        data = drawn.pixels.tobytes() + drawn.owner.tobytes()
        expected.append(hashlib.sha256(data).hexdigest())
    assert printed == expected


def test_scenes_are_drawn_in_arithmetic_that_rounds_alike_everywhere(repository_root):
    # Sines, powers and float sums differ in the last bit between libraries, and a
    # Generator's methods between versions of NumPy.
    exact = {
        *"PCG64 SeedSequence abs arange append bincount broadcast_shapes".split(),
        *"broadcast_to clip count_nonzero divmod empty flatnonzero floor full".split(),
        *"maximum minimum ndarray prod shape stack where zeros".split(),
        *"bool float32 float64 int16 int32 int64 integer uint8 uint64".split(),
    }
    folder = repository_root / "keras_fpn" / "data" / "scenes"
    used = set()
    for path in folder.glob("*.py"):
        if path.name in ("datasets.py", "settings.py", "__init__.py"):
            continue  # they draw nothing
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value)
                used |= {node.attr} if owner in ("np", "np.random") else set()
            assert not isinstance(node, ast.MatMult), path
            # Python 3.12 sums floats another way than 3.11.
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "sum":
                assert path.name == "stamp.py", "and that sums whole numbers"
    assert used - {"random"} <= exact


# --- whole scenes --------------------------------------------------------------------


def test_a_scene_is_a_sample():
    sample = scene(0, 4, size=(120, 90))
    count = len(sample["labels"])
    assert count > 0
    assert sample["image"].shape == (120, 90, 3)
    assert sample["image"].dtype == np.uint8
    assert sample["boxes"].shape == (count, 4)
    assert sample["boxes"].dtype == np.float32
    assert sample["labels"].dtype == np.int32
    assert set(sample["labels"]) <= set(range(8))
    assert not sample["is_crowd"].any()
    assert sample["is_crowd"].shape == (count,)
    assert sample["image_id"] == 5
    assert sample["photo_size"] == (120, 90)
    assert sample["masks"].shape == (count, 120, 90)
    assert sample["masks"].dtype == bool
    assert "masks" not in scene(0, 4, size=(120, 90), masks=False)


def test_boxes_go_around_what_is_visible_and_masks_do_not_overlap():
    for sample in drawn_scenes(10):
        masks = sample["masks"]
        assert masks.sum(axis=0).max() <= 1
        for box, mask in zip(sample["boxes"], masks, strict=True):
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            np.testing.assert_array_equal(box, edges)


def extents(sample):
    boxes = sample["boxes"]
    return np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def test_every_scene_has_objects_of_all_scales():
    samples = drawn_scenes(30)
    for sample in samples:
        assert 4 <= extents(sample).min() <= 16
        assert extents(sample).max() >= 64
    largest = max(extents(sample).max() for sample in samples)
    assert largest > 0.7 * 320
    sides = np.concatenate([extents(sample) for sample in samples])
    assert 0.35 < np.mean(sides < 32) < 0.65


def test_all_classes_are_about_as_frequent():
    samples = drawn_scenes(60, size=(128, 128))
    labels = np.concatenate([sample["labels"] for sample in samples])
    counts = np.bincount(labels, minlength=8)
    assert counts.min() > 0.6 * counts.mean()


def test_objects_hide_each_other_partly():
    # Boxes that overlap, though no two masks do.
    overlapping = 0
    for sample in drawn_scenes(10):
        for one, other in itertools.combinations(sample["boxes"], 2):
            corner = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
            overlapping += (corner > 0).all()
    assert overlapping > 20


def test_objects_stand_out_from_what_is_around_them():
    steps = []
    for sample in drawn_scenes(10):
        tones = sample["image"] @ [0.299, 0.587, 0.114]
        for mask in sample["masks"]:
            near = mask.copy()
            for axis, step in itertools.product((0, 1), (-2, 2)):
                near |= np.roll(mask, step, axis)
            steps.append(abs(tones[mask].mean() - tones[near & ~mask].mean()))
    assert np.median(steps) > 40


def test_the_number_of_objects_and_their_sizes_can_be_chosen():
    for sample in drawn_scenes(10, size=(200, 200), objects=(2, 4), sides=(20, 40)):
        assert len(sample["labels"]) <= 4
        assert extents(sample).max() <= 42  # half a pixel on both sides
    counts = [len(s["labels"]) for s in drawn_scenes(20, objects=(2, 4))]
    assert set(counts) == {2, 3, 4}
    [sample] = drawn_scenes(1, size=(64, 64), objects=(1, 1), sides=(64, 64))
    assert extents(sample).max() > 40


def test_scenes_without_objects_are_empty_but_not_bare():
    sample = scene(0, 0, size=(64, 96), objects=(0, 0))
    assert sample["boxes"].shape == (0, 4)
    assert sample["masks"].shape == (0, 64, 96)
    assert sample["image"].std() > 1


@pytest.mark.parametrize("size", [(32, 32), (32, 400), (400, 33)])
@pytest.mark.parametrize("sides", [(8, None), (6, 6), (6, 32), (32, 32)])
def test_oblong_and_tiny_scenes_can_be_drawn(size, sides):
    for sample in drawn_scenes(4, size=size, sides=sides):
        assert sample["image"].shape == (*size, 3)
        assert sample["masks"].any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"seed": -1}, r"seed must be an integer of 0 or more; received seed=-1"),
        ({"index": 1.5}, r"index must be .*received index=1.5"),
        ({"index": True}, r"received index=True"),
        ({"size": (31, 99)}, r"at least 32 pixels; received size=\(31, 99\)"),
        ({"size": (64,)}, r"received size=\(64,\)"),
        ({"size": (64.0, 64)}, r"received size=\(64.0, 64\)"),
        ({"objects": (4, 3)}, r"the fewest and the most.*received objects=\(4, 3\)"),
        ({"objects": (-1, 3)}, r"received objects=\(-1, 3\)"),
        ({"objects": (3,)}, r"received objects=\(3,\)"),
        ({"sides": (5, 20)}, r"6 to 320 pixels, .*received sides=\(5, 20\)"),
        ({"sides": (8, 321)}, r"received sides=\(8, 321\)"),
        ({"sides": (30, 20)}, r"received sides=\(30, 20\)"),
        ({"sides": (float("nan"), None)}, r"received sides=\(nan, None\)"),
        ({"sides": (8,)}, r"received sides=\(8,\)"),
        ({"sides": (None, 20)}, r"received sides=\(None, 20\)"),
    ],
)
def test_scenes_that_cannot_be_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        scene(**{"seed": 0, "index": 0, **choices})


# --- data sets -----------------------------------------------------------------------


def test_a_data_set_of_scenes_needs_no_files():
    dataset = scene_dataset(4, seed=9, **SMALL)
    assert len(dataset) == 4
    assert dataset.class_names == CLASS_NAMES
    assert dataset.category_ids == tuple(range(1, 9))
    for index, photo in enumerate(dataset.photos):
        expected = scene(9, index, **SMALL)
        loaded = load_sample(photo, masks=True)
        assert loaded.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(loaded[name], value, err_msg=name)
            assert np.asarray(loaded[name]).dtype == np.asarray(value).dtype


def test_a_data_sets_scenes_are_drawn_when_they_are_used(monkeypatch):
    drawn = []
    draw = SceneSettings.draw
    monkeypatch.setattr(
        SceneSettings, "draw", lambda self: drawn.append(self) or draw(self)
    )
    datasets._drawn.cache_clear()
    dataset = scene_dataset(1000, seed=9, **SMALL)
    assert drawn == []
    assert dataset[3].height == 96
    load_sample(dataset[3], masks=True)
    load_sample(dataset[3], masks=True)
    assert [settings.index for settings in drawn] == [
        3
    ]  # both times from the one drawing


def test_a_loaded_scene_may_be_written_to():
    photo = scene_dataset(1, seed=9, **SMALL)[0]
    image = load_sample(photo)["image"]
    image[:] = 0
    assert load_sample(photo)["image"].any()


def test_a_data_set_can_start_anywhere_in_a_seeds_scenes():
    later = scene_dataset(5, seed=9, **SMALL)[3:]
    same = scene_dataset(5, seed=9, **SMALL)[3:]
    for one, other in zip(later.photos, same.photos, strict=True):
        assert one.image_id == other.image_id
        np.testing.assert_array_equal(one.objects.boxes, other.objects.boxes)


def test_scenes_travel_to_other_processes():
    photo = scene_dataset(1, seed=9, **SMALL)[0]
    for _ in range(2):  # before and after its objects are found
        copied = pickle.loads(pickle.dumps(photo))
        np.testing.assert_array_equal(copied.objects.boxes, photo.objects.boxes)
        np.testing.assert_array_equal(np.asarray(copied.path), np.asarray(photo.path))


def test_some_rows_of_a_scenes_objects_are_objects():
    objects = scene_dataset(1, seed=9, **SMALL)[0].objects
    assert len(objects) >= 2
    rows = objects[1:]
    np.testing.assert_array_equal(rows.boxes, objects.boxes[1:])
    assert rows.segments == objects.segments[1:]
    assert objects.keypoints is None


def test_a_scenes_picture_says_what_it_is():
    picture = scene_dataset(7, seed=9, **SMALL)[6].path
    assert str(picture) == "scene 6 of seed 9"
    assert picture.name == "000007.png"
    assert "seed=9, index=6" in repr(picture)


def test_written_scenes_are_read_back_identically(tmp_path):
    path = write_scenes(tmp_path / "scenes", 3, seed=9, **SMALL)
    reports = []
    read = read_coco(path, strict=True, report=reports.append)
    written = scene_dataset(3, seed=9, **SMALL)
    assert read.class_names == written.class_names
    assert read.category_ids == written.category_ids
    assert len(read) == 3
    for one, other in zip(read.photos, written.photos, strict=True):
        assert one.image_id == other.image_id
        assert one.path.parent == tmp_path / "scenes" / "images"
        assert one.objects.segments == other.objects.segments
        found, expected = (load_sample(photo, masks=True) for photo in (one, other))
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_scenes_can_be_written_as_jpeg(tmp_path):
    path = write_scenes(tmp_path, 2, seed=9, suffix=".jpg", **SMALL)
    read = read_coco(path, report=None)
    for index, photo in enumerate(read.photos):
        assert photo.path.suffix == ".jpg"
        with Image.open(photo.path) as image:
            assert image.format == "JPEG"
        expected = scene(9, index, **SMALL)
        np.testing.assert_array_equal(photo.objects.boxes, expected["boxes"])
        error = read_photo(photo.path).astype(int) - expected["image"]
        assert abs(error).mean() < 4


def test_other_kinds_of_files_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.jpg; received suffix='png'"):
        write_scenes(tmp_path, 1, suffix="png")
    assert list(tmp_path.iterdir()) == []


def test_there_cannot_be_fewer_than_no_scenes():
    assert len(scene_dataset(0)) == 0
    with pytest.raises(
        ValueError, match=r"count must be an integer of 0 or more; received count=-1"
    ):
        scene_dataset(-1)


def test_row_numbers_of_objects_are_their_places():
    drawn = SceneSettings(9, 0, **SMALL).draw()
    assert set(np.unique(drawn.owner)) == set(range(-1, len(drawn.labels)))
    boxes, _ = label_image_objects(drawn.owner + 1)
    assert len(boxes) == len(drawn.labels)
