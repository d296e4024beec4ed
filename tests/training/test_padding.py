"""Batches of only images of weight 0."""

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector

from keras_fpn.data import Loader
from keras_fpn.data.batches import Batch
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.preprocessing import Preprocessing

FULL = Batch((0, 1), (64, 64))
PADDING = Batch((~0, ~1), (64, 64))
LOSSES = ["box_loss", "class_loss", "loss", "objectness_loss", "rpn_box_loss"]


@pytest.fixture(scope="module")
def trained():
    """Losses, and the largest change of a weight, for an empty, a full and an empty
    batch; and the number of steps.
    """
    model = tiny_detector(
        num_classes=8,
        backbone=tiny_backbone(("C4",)),  # fewer levels compile sooner
        preprocessing=Preprocessing(64, 64),
    )
    dataset = scene_dataset(2, seed=1, size=(64, 64), objects=(1, 3))
    loader = Loader(dataset, model.preprocessing, 2)
    model.compile(keras.optimizers.SGD(0.01, global_clipnorm=1.0))
    losses, changes = [], []
    for batch in (PADDING, FULL, PADDING):
        before = [np.array(weight) for weight in model.get_weights()]
        x, y, sample_weight = loader.load(batch, epoch=0)
        model.reset_metrics()
        losses.append(
            model.train_on_batch(x, y, sample_weight=sample_weight, return_dict=True)
        )
        moved = zip(model.weights, before, model.get_weights(), strict=True)
        changes.append(
            max(
                np.abs(after - former).max()
                for weight, former, after in moved
                if weight is not model.training_step
            )
        )
    return losses, changes, int(keras.ops.convert_to_numpy(model.training_step))


def test_the_losses_of_a_batch_of_only_padding_are_zero(trained):
    first, full, last = trained[0]
    for losses in (first, last):
        assert sorted(losses) == LOSSES
        assert [float(losses[name]) for name in LOSSES] == [0.0] * len(LOSSES)
    assert all(0 < float(full[name]) < np.inf for name in LOSSES)


def test_a_batch_of_only_padding_moves_no_weight(trained):
    first, full, last = trained[1]
    assert first == last == 0.0
    assert full > 1e-4


def test_a_batch_of_only_padding_is_a_step_like_any_other(trained):
    assert trained[2] == 3
