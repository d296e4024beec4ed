"""A detector that can learn must be able to memorize a few pictures.

`test_overfit.py` does it with photos, in 20 minutes; this is for every checkout.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from plain_loops import iou_by_loop
from process_environment import environment_of_its_own

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """The results of `train_a_few.py`, without deterministic operations."""
    result = tmp_path_factory.mktemp("learning") / "result.json"
    script = pathlib.Path(__file__).with_name("train_a_few.py")
    run = subprocess.run(
        [sys.executable, str(script), str(result)],
        env=environment_of_its_own(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(result.read_text())


@pytest.mark.parametrize(
    ("name", "share"),
    [("objectness_loss", 0.2), ("rpn_box_loss", 0.5), ("class_loss", 0.2)],
)
def test_losses_fall(training, name, share):
    losses = [step[name] for step in training["losses"]]
    assert np.isfinite(losses).all()
    assert 0 < np.mean(losses[-10:]) < share * losses[0]


def test_the_box_loss_falls_once_there_are_rois_of_objects(training):
    # At the start hardly any RoI is positive except the ground truth itself.
    losses = np.array([step["box_loss"] for step in training["losses"]])
    means = losses.reshape(-1, 10).mean(axis=1)
    assert 0 < means[-1] < 0.6 * means.max()


def test_every_object_is_found_with_its_class_and_place(training):
    pictures = zip(
        training["found"], training["boxes"], training["labels"], strict=True
    )
    objects = 0
    for found, boxes, labels in pictures:
        for box, label in zip(np.array(boxes), labels, strict=True):
            if label < 0:
                continue
            objects += 1
            ious = [
                iou_by_loop(box, np.array(other))
                for other, own, score in zip(
                    found["boxes"], found["labels"], found["scores"], strict=True
                )
                if own == label and score > 0.5
            ]
            assert max(ious, default=0) > 0.6
    assert objects >= 4
