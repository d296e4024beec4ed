"""A detector that takes proposals is trained, killed and resumed like any other."""

import keras
import numpy as np
import pytest
from models.fast import second_stage
from models.tiny import tiny_backbone, tiny_detector

from keras_fpn.data import RandomFlip, SafeCrop, with_proposals
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.metrics import propose_photos
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import SGD, TrainingPlan, prepare_training

pytestmark = pytest.mark.ci  # `cli/test_proposals.py` trains in every run


def first_stage(class_names, category_ids):
    return tiny_detector(
        num_classes=None,
        class_names=class_names,
        category_ids=category_ids,
        backbone=tiny_backbone(("C4", "C5")),  # fewer levels compile sooner
        preprocessing=Preprocessing(64, 64),
    )


PLAN = TrainingPlan(
    name="given_proposals",
    build=lambda *classes: second_stage(first_stage(*classes)),
    batch_size=2,
    learning_rate=0.01,
    schedule=lambda rate, _, total: rate,
    optimizer=SGD,
    epochs=2,
    augment=(RandomFlip(), SafeCrop()),
)


@pytest.fixture(scope="module")
def dataset():
    """Scenes with the proposals of an untrained first stage."""
    bare = scene_dataset(4, size=(64, 64), objects=(1, 3), sides=(16, None))
    model = first_stage(list(bare.class_names), list(bare.category_ids))
    return with_proposals(bare, propose_photos(model, bare), limit=20)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def weights_of(training):
    return [np.asarray(keras.ops.convert_to_numpy(w)) for w in training.model.weights]


def test_a_resumed_run_ends_with_the_same_weights(dataset, tmp_path):
    whole = prepare_training(PLAN, dataset, tmp_path / "whole", dataset, seed=3)
    before = weights_of(whole)
    logs = whole.run()
    assert {"class_loss", "box_loss", "val_AP"} < set(logs[-1])
    cut = prepare_training(PLAN, dataset, tmp_path / "cut", dataset, seed=3)
    with pytest.raises(KeyboardInterrupt):
        cut.run([Interrupt()])
    again = prepare_training(PLAN, dataset, tmp_path / "cut", dataset, seed=3)
    assert again.start_step == 2
    again.run()
    for own, expected in zip(weights_of(again), weights_of(whole), strict=True):
        np.testing.assert_array_equal(own, expected)
    trained = zip(before, weights_of(whole), strict=True)
    assert any((old != new).any() for old, new in trained)


def test_data_without_proposals_are_an_error_before_a_folder_is_made(dataset, tmp_path):
    bare = scene_dataset(2, size=(64, 64))
    for training, validation in ((bare, dataset), (dataset, bare)):
        with pytest.raises(ValueError, match="must have proposals for a FastRCNN"):
            prepare_training(PLAN, training, tmp_path / "run", validation)
    assert not (tmp_path / "run").exists()
