"""`--proposals FILE`: detects, evaluates and fine-tunes with proposals from a file."""

import json
import os
import pickle
import re

import keras
import numpy as np
import pytest
from cli.calling import called
from models.fast import tiny_fast_rcnn
from models.tiny import tiny_backbone, tiny_detector

from keras_fpn.cli import finetune
from keras_fpn.data import open_dataset, read_proposals, write_proposals
from keras_fpn.data.scenes import write_scenes
from keras_fpn.metrics import propose_photos
from keras_fpn.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with 6 scenes, set/, two detectors, and proposals of the first."""
    folder = tmp_path_factory.mktemp("proposals")
    write_scenes(folder / "set", 6, size=(64, 64), objects=(1, 2), sides=(16, None))
    options = {
        "num_classes": 2,
        "class_names": ["ring", "cat"],
        "backbone": tiny_backbone(("C4", "C5")),  # fewer levels compile sooner
        "preprocessing": Preprocessing(64, 96),
    }
    faster = tiny_detector(**options)
    faster.save(folder / "faster.keras")
    tiny_fast_rcnn(**options).save(folder / "fast.keras")
    dataset = open_dataset(folder / "set", report=None)
    write_proposals(propose_photos(faster, dataset), folder / "proposals.json")
    return folder


def photos_of(folder):
    return sorted((folder / "set" / "images").iterdir())


def test_propose_photos_has_an_entry_for_each_photo(made):
    found = read_proposals(made / "proposals.json")
    dataset = open_dataset(made / "set", report=None)
    assert set(found) == {photo.image_id for photo in dataset.photos}
    for boxes, scores in found.values():
        assert 0 < len(boxes) <= 50
        assert (np.diff(scores) <= 0).all()


def test_detect_gives_each_photo_its_proposals(made, tmp_path):
    photos = photos_of(made)
    detected = tmp_path / "found.json"
    options = ["--output", tmp_path / "out", "--threshold", 0.2]
    code, _, err = called(
        *("detect", *photos, "--weights", made / "fast.keras", *options),
        *("--proposals", made / "proposals.json", "--json", detected),
    )
    assert code == 0, err
    expected = tmp_path / "expected.json"
    options = ["--output", tmp_path / "out2", "--threshold", 0.2]
    called(
        *("detect", *photos, "--weights", made / "faster.keras", *options),
        *("--json", expected),
    )
    found = [json.loads(file.read_text()) for file in (detected, expected)]
    assert len(found[0]) == len(found[1]) > 6
    for one, other in zip(*found, strict=True):
        assert one["image_id"] == other["image_id"]
        np.testing.assert_allclose(one["bbox"], other["bbox"], atol=0.1)


@pytest.mark.parametrize(
    ("weights", "proposals", "message"),
    [
        ("fast.keras", None, "A FastRCNN must be given proposals"),
        ("faster.keras", "proposals.json", "A FasterRCNN makes its own proposals"),
        ("fast.keras", "absent.json", r"absent\.json': No such file"),
        ("fast.keras", "other.json", "without 1 of 1 photos, such as .*image id"),
        ("fast.keras", "code.pkl", "which names '.*system'. Nothing in it was run"),
    ],
)
def test_detect_says_what_does_not_match(made, tmp_path, weights, proposals, message):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {made / 'ran'}",)

    write_proposals({99: ([[0, 0, 1, 1]], [1])}, made / "other.json")
    (made / "code.pkl").write_bytes(pickle.dumps(Attack()))
    argv = ["detect", photos_of(made)[0], "--weights", made / weights]
    argv += ["--output", tmp_path / "out"]
    argv += ["--proposals", made / proposals] if proposals else []
    code, _, err = called(*argv)
    assert code == 2
    assert re.search(message, err), err
    assert not (made / "ran").exists()


def test_evaluate_uses_them(made, tmp_path):
    argv = ["evaluate", made / "set", "--weights", made / "fast.keras"]
    argv += ["--output", tmp_path / "out", "--proposals", made / "proposals.json"]
    code, out, err = called(*argv)
    assert code == 0, err
    assert "fast.keras on instances: 6 photos" in out
    argv = ["evaluate", made / "set", "--weights", made / "faster.keras"]
    called(*argv, "--output", tmp_path / "expected")
    found, expected = (
        json.loads((tmp_path / name / "detections.json").read_text())
        for name in ("out", "expected")
    )
    assert len(found) == len(expected) > 6
    for one, other in zip(found, expected, strict=True):
        assert (one["image_id"], one["category_id"]) == (
            other["image_id"],
            other["category_id"],
        )
        np.testing.assert_allclose(one["bbox"], other["bbox"], atol=0.1)


def test_evaluate_needs_them_and_only_if_the_detector_takes_them(made, tmp_path):
    argv = ["evaluate", made / "set", "--output", tmp_path / "out"]
    code, _, err = called(*argv, "--weights", made / "fast.keras")
    assert (code, "must have proposals for a FastRCNN" in err) == (2, True)
    argv += ["--proposals", made / "proposals.json"]
    code, _, err = called(*argv, "--weights", made / "faster.keras")
    assert (code, "no proposals for a FasterRCNN" in err) == (2, True)


def test_proposals_of_other_photos_are_named(made, tmp_path):
    large = read_proposals(made / "proposals.json")
    large = {number: (boxes * 3, scores) for number, (boxes, scores) in large.items()}
    write_proposals(large, tmp_path / "large.json")
    argv = ["evaluate", made / "set", "--weights", made / "fast.keras"]
    argv += ["--output", tmp_path / "out", "--proposals", tmp_path / "large.json"]
    code, _, err = called(*argv)
    assert code == 2
    assert "must be inside the photo, 64x64 pixels" in err
    assert "(image id 1)" in err


@pytest.mark.ci
def test_finetune_trains_and_validates_with_them(made, tmp_path, monkeypatch):
    given, trained = [], finetune.run_training

    def run_training(plan, dataset, validation, *others):
        given.extend([dataset, validation])
        return trained(plan, dataset, validation, *others)

    monkeypatch.setattr(finetune, "run_training", run_training)
    argv = ["finetune", made / "set", "--weights", made / "fast.keras", "--epochs", 1]
    argv += ["--output", tmp_path / "run", "--workers", 1, "--no-tensorboard"]
    code, _, err = called(*argv, "--proposals", made / "proposals.json")
    assert code == 0, err
    # Two photos are held out and keep their proposals.
    assert [len(dataset) for dataset in given] == [4, 2]
    found = read_proposals(made / "proposals.json")
    for photo in (photo for dataset in given for photo in dataset.photos):
        np.testing.assert_allclose(photo.proposals, found[photo.image_id][0], atol=0.01)
    [entry] = json.loads((tmp_path / "run" / "history.json").read_text())
    assert {"class_loss", "box_loss", "val_AP"} < set(entry)
    model = keras.models.load_model(tmp_path / "run" / "last.keras")
    assert "proposals" in model.input
    # The same command, but with other proposals, is another training.
    fewer = read_proposals(made / "proposals.json")
    fewer = {number: (boxes[:5], s[:5]) for number, (boxes, s) in fewer.items()}
    write_proposals(fewer, tmp_path / "fewer.json")
    code, _, err = called(*argv, "--proposals", tmp_path / "fewer.json")
    assert code == 2
    assert "only with its own settings; received dataset=" in err
    code, _, err = called(*argv)
    assert code == 2
    assert "must have proposals for a FastRCNN" in err


def test_photos_to_validate_on_need_a_file_of_their_own(made, tmp_path):
    argv = ["finetune", made / "set", "--weights", made / "fast.keras", "--epochs", 1]
    argv += ["--val", made / "set", "--output", tmp_path / "run"]
    argv += ["--proposals", made / "proposals.json"]
    code, _, err = called(*argv)
    assert code == 2
    assert "--val-proposals for validation" in err
    argv += ["--val-proposals", made / "absent.json"]
    code, _, err = called(*argv)
    assert (code, "absent.json" in err) == (2, True)
