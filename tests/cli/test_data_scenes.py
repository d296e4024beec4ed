"""`keras-fpn data scenes`: a data set out of nothing."""

import numpy as np
from PIL import Image

from keras_fpn import cli
from keras_fpn.data import open_dataset
from keras_fpn.data.scenes import CLASS_NAMES, scene


def scenes(folder, *options):
    return cli.main(["data", "scenes", str(folder), *options])


def test_scenes_become_a_data_set_with_the_pixels_of_their_seed(tmp_path, capsys):
    folder = tmp_path / "scenes"
    options = ["--count", "2", "--seed", "5", "--size", "64", "96", "--png"]
    assert scenes(folder, *options) == 0
    assert "2 scenes; annotations: " in capsys.readouterr().out
    dataset = open_dataset(folder / "instances.json", report=lambda report: None)
    assert dataset.class_names == CLASS_NAMES
    assert len(dataset) == 2
    sample = scene(5, 1, (64, 96))
    with Image.open(dataset.photos[1].path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), sample["image"])
    np.testing.assert_array_equal(dataset.photos[1].objects.boxes, sample["boxes"])


def test_a_folder_with_a_data_set_is_left_alone(tmp_path, capsys):
    (tmp_path / "instances.json").write_text("mine")
    assert scenes(tmp_path, "--count", "1") == 2
    assert "must not contain instances.json yet; received" in capsys.readouterr().err
    assert (tmp_path / "instances.json").read_text() == "mine"


def test_sizes_that_no_scene_can_have_are_refused(tmp_path, capsys):
    assert scenes(tmp_path / "new", "--count", "1", "--size", "8", "8") == 2
    assert "received size=(8, 8)" in capsys.readouterr().err


def test_scenes_become_a_panoptic_data_set(tmp_path, capsys):
    folder = tmp_path / "scenes"
    options = ["--count", "2", "--seed", "5", "--size", "64", "96", "--panoptic"]
    assert scenes(folder, *options) == 0
    assert "panoptic.json" in capsys.readouterr().out
    dataset = open_dataset(folder, report=None)
    expected = scene(5, 1, (64, 96), stuff=True)["semantic_map"]
    labels = dataset[1].pixel_labels.semantic_map((64, 96))
    np.testing.assert_array_equal(labels, expected)
    assert scenes(folder, *options) == 2
    assert "must not contain panoptic.json yet" in capsys.readouterr().err
