import keras
import numpy as np
import pytest
from training.small_model import SETTINGS, compiled, compiled_by_parts, fill, state_of

from keras_fpn.training.checkpoints import averaged_weights, use_averages
from keras_fpn.training.run_folder import RunFolder
from keras_fpn.training.run_recorder import RunRecorder


def trained(**arguments):
    """A model whose weights are far from their averages, so that sums are rounded."""
    model = compiled(learning_rate=0.3, **arguments)
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    model.fit(x, np.ones((8, 4)), epochs=2, batch_size=2, verbose=0)
    for weight in model.trainable_variables:
        weight.assign(np.linspace(1e-4, 1e4, weight.shape[-1]) + np.zeros(weight.shape))
    return model


def test_averaged_weights_are_there_within_and_gone_without_a_trace_after():
    model = trained(use_ema=True)
    before = state_of(model)
    averages = [
        keras.ops.convert_to_numpy(variable)
        for variable in model.optimizer.variables
        if "average" in variable.path
    ]
    with averaged_weights(model):
        for weight, average in zip(model.get_weights(), averages, strict=True):
            np.testing.assert_array_equal(weight, average)
    for value, expected in zip(state_of(model), before, strict=True):
        assert value.tobytes() == expected.tobytes()
    with pytest.raises(RuntimeError, match="cut"):
        _cut_short(model)
    assert state_of(model)[0].tobytes() == before[0].tobytes()
    use_averages(model)
    np.testing.assert_array_equal(model.get_weights()[0], averages[0])


def _cut_short(model):
    with averaged_weights(model):
        raise RuntimeError("cut")


def test_averages_are_found_inside_the_optimizer_that_scales_losses():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    inner = keras.optimizers.SGD(0.1, use_ema=True)
    model.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    model.optimizer.build(model.trainable_variables)
    fill(model, 3)
    before = model.get_weights()[0]
    with averaged_weights(model):
        assert not np.array_equal(model.get_weights()[0], before)
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_of_several_optimizers_each_has_averages_or_none():
    model = compiled_by_parts()
    fill(model, 3)
    body, head = (np.array(layer.kernel) for layer in model.layers)
    with averaged_weights(model):
        assert not np.array_equal(model.layers[0].kernel, body)
        np.testing.assert_array_equal(model.layers[1].kernel, head)
    np.testing.assert_array_equal(model.layers[0].kernel, body)


def test_without_averages_the_weights_stay():
    model = trained()
    before = state_of(model)
    with averaged_weights(model):
        np.testing.assert_array_equal(model.get_weights()[0], before[0])
    use_averages(model)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


class Sees(keras.callbacks.Callback):
    """Notes the weights that it sees, and adds to the logs."""

    def on_epoch_end(self, epoch, logs=None):
        self.seen = [np.array(value) for value in self.model.get_weights()]
        logs["val_AP"] = 0.5


def test_an_evaluation_sees_the_averages_and_the_next_callback_does_not(tmp_path):
    model = compiled(learning_rate=0.3, use_ema=True)
    first, second = Sees(), Sees()
    recorder = RunRecorder(RunFolder(tmp_path, SETTINGS), range(2), first)
    epochs = model.fit(
        np.eye(2),
        np.zeros((2, 4)),
        batch_size=1,
        verbose=0,
        callbacks=[recorder, second],
    )
    averages = keras.models.load_model(recorder.folder.best).get_weights()
    np.testing.assert_array_equal(first.seen[0], averages[0])
    assert not np.array_equal(second.seen[0], averages[0])
    assert epochs.history["val_AP"] == [0.5]
    assert first.params["epochs"] == 1
