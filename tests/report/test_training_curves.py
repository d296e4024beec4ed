import re

import pytest

from keras_fpn.report.training_curves import draw_training

EPOCHS = [
    {"epoch": 0, "box_loss": 0.5, "loss": 2.0, "val_AP": 0.2, "val_AR1": 0.3},
    {"epoch": 1, "box_loss": 0.25, "loss": 1.0, "val_AP": 0.4, "val_AR1": 0.3},
]


def points(svg):
    """How many points the first curve has, whose color no axis has."""
    return len(re.findall(r'<use [^>]*style="fill: #1f2933', svg)) - 1  # of the legend


def test_losses_and_what_was_measured_are_two_pictures():
    losses, measured = draw_training(EPOCHS)
    assert losses[1] == "Losses by epoch"
    assert measured[1] == "Measured on the validation photos, by epoch"
    for svg, _ in (losses, measured):
        assert svg.startswith("<?xml")
    assert "AR1" not in measured[0]


def test_what_was_not_measured_is_not_drawn():
    [losses] = draw_training([{"epoch": 0, "loss": 1.0, "val_AP": None}])
    assert losses[1] == "Losses by epoch"
    assert draw_training([]) == []
    assert draw_training([{"epoch": 0, "loss": None}]) == []


@pytest.mark.parametrize("value", [0.0, 1e6])
def test_every_size_of_loss_can_be_drawn(value):
    [(svg, _)] = draw_training([{"epoch": 4, "loss": value}])
    assert svg.rstrip().endswith("</svg>")


def test_a_gap_leaves_the_other_epochs():
    late = [{**EPOCHS[0], "loss": None}, *EPOCHS[1:], {**EPOCHS[1], "epoch": 2}]
    assert points(draw_training(late)[0][0]) == 2
    assert points(draw_training([*EPOCHS, late[2]])[0][0]) == 3
