"""`keras-fpn finetune` trains every kind of detector on the data that it needs."""

import dataclasses
import json

import keras
import pytest
from training.small_family import detector, written_scenes

from keras_fpn.cli import main
from keras_fpn.data import write_coco

MEASURED = {
    "Cascade": "val_mask_AP",
    "Keypoint R-CNN": "val_keypoint_AP",
    "RetinaNet": "val_AP",
    "FCOS": "val_AP",
    "Semantic FPN": "val_mIoU",
    "Panoptic FPN": "val_PQ",
}


def with_one_other_class(scenes):
    """Returns the data set of scenes with another name for its first class."""
    names = ("something else", *scenes.class_names[1:])
    return dataclasses.replace(scenes, class_names=names)


@pytest.mark.ci
@pytest.mark.parametrize("name", MEASURED)
def test_a_detector_is_fine_tuned(name, tmp_path):
    keras.utils.set_random_seed(0)
    scenes = written_scenes(tmp_path / "set", name, count=6)
    detector(name, with_one_other_class(scenes)).save(tmp_path / "first.keras")
    dataset = tmp_path / "set"
    if scenes.keypoint_names:
        dataset = tmp_path / "keypoints.json"
        write_coco(scenes, dataset)
    argv = ["finetune", str(dataset), "--weights", str(tmp_path / "first.keras")]
    argv += ["--epochs", "1", "--batch-size", "2", "--output", str(tmp_path / "run")]
    assert main(argv) == 0
    best = keras.models.load_model(tmp_path / "run" / "best.keras")
    assert best.class_names == list(
        scenes.semantic_names if name == "Semantic FPN" else scenes.class_names
    )
    if best.stuff_set:
        assert best.stuff_set.names == scenes.stuff_names
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert MEASURED[name] in str(history)
