"""What a training leaves to Keras, and how it is cut into calls of `fit`."""

import keras
import pytest
from training.mean_box import MeanBox
from training.test_plan import plan

from keras_fpn.cli import run_training
from keras_fpn.data.scenes import STUFF_NAMES, scene_dataset
from keras_fpn.distribute.devices import STRATEGIES
from keras_fpn.training import prepare_training
from keras_fpn.training.fit import Training
from keras_fpn.training.run_folder import Position

LENGTH = 10  # steps of an epoch


def stretches(start, **lasting):
    """The calls of `fit`: first epoch, last + 1, first batch, steps of each epoch."""
    parts = dict.fromkeys(("model", "devices", "folder", "evaluation"))
    training = Training(
        plan=plan(**{"epochs": None, **lasting}),
        loader=range(LENGTH),
        start=Position(*start),
        **parts,
    )
    return list(training._stretches())


@pytest.mark.parametrize(
    ("start", "lasting", "expected"),
    [
        ((0, 0), {"epochs": 3}, [(0, 3, 0, 10)]),
        ((1, 0), {"epochs": 3}, [(1, 3, 0, 10)]),
        # The rest of an epoch that was interrupted, then the others.
        ((0, 4), {"epochs": 3}, [(0, 1, 4, 6), (1, 3, 0, 10)]),
        ((2, 4), {"epochs": 3}, [(2, 3, 4, 6)]),
        ((3, 0), {"epochs": 3}, []),  # it has ended
        # A last epoch that is cut short.
        ((0, 0), {"steps": 25}, [(0, 2, 0, 10), (2, 3, 0, 5)]),
        ((2, 3), {"steps": 25}, [(2, 3, 3, 2)]),
        ((2, 5), {"steps": 25}, []),
        ((0, 0), {"steps": 7}, [(0, 1, 0, 7)]),
    ],
)
def test_every_step_is_in_one_call_of_fit(start, lasting, expected):
    assert stretches(start, **lasting) == expected


@pytest.mark.tensorflow_only
def test_on_one_accelerator_keras_chooses_the_device_and_the_compilation(
    tmp_path, monkeypatch
):
    import tensorflow as tf
    from tensorflow.python.framework import config

    accelerator = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [accelerator])
    # Tests ask for operations that repeat their results, which turns XLA off.
    monkeypatch.setattr(config, "is_op_determinism_enabled", lambda: False)
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile()
    one = plan(build=MeanBox, optimizer=keras.optimizers.SGD, batch_size=2)
    training = prepare_training(one, scene_dataset(2, size=(64, 64)), tmp_path)
    assert training.model.jit_compile
    assert plain.jit_compile
    assert training.model.distribute_strategy is plain.distribute_strategy
    assert not tf.distribute.has_strategy()


def test_the_command_line_knows_the_strategies_without_loading_keras():
    assert run_training.STRATEGIES == STRATEGIES


class LabelingMeanBox(MeanBox):
    """A model that asks for semantic maps, too."""

    targets = (*MeanBox.targets, "semantic_map")
    stuff_names = STUFF_NAMES


def test_semantic_maps_are_loaded_for_the_models_that_ask_for_them(tmp_path):
    scenes = [scene_dataset(2, seed, size=(64, 64), stuff=True) for seed in (0, 1)]
    for build, asked in ((MeanBox, False), (LabelingMeanBox, True)):
        one = plan(build=build, optimizer=keras.optimizers.SGD, batch_size=2)
        training = prepare_training(
            one, scenes[0], tmp_path / build.__name__, scenes[1]
        )
        assert training.loader.semantic is asked
        # So a photo whose labels cannot be read is skipped when it is measured on.
        assert training.evaluation.loader.semantic is asked
    bare = scene_dataset(2, size=(64, 64))
    with pytest.raises(ValueError, match="must have pixel labels, because a Labeling"):
        prepare_training(one, bare, tmp_path / "bare")
