"""The averages of a model's weights (EMA), which an optimizer with `use_ema` keeps.

Keras's own `SwapEMAWeights` swaps by additions on TensorFlow, which round: weights that
have been swapped there and back are others than before. And `fit` overwrites the
weights by their averages at its end, so that a second `fit` does not go on where the
first one stopped. An exactly resumed training can bear neither.
"""

import contextlib

import keras
import numpy as np

from keras_fpn.distribute.inner_optimizers import inner_optimizers


def averages(model):
    """Returns the pairs of a compiled model's weights and their averages.

    Args:
        model: `keras.Model`, its optimizer built.

    Returns:
        list of (variable, variable); empty for an optimizer without averages.
    """
    if model.optimizer is None:
        return []
    pairs = []
    for optimizer in inner_optimizers(model.optimizer):
        if optimizer.use_ema and optimizer.built:  # one without weights is not built
            weights = optimizer._trainable_variables
            held = optimizer._model_variables_moving_average
            pairs.extend(zip(weights, held, strict=True))
    return [(weight, average) for weight, average in pairs if average is not None]


def use_averages(model):
    """Overwrites a compiled model's weights by their averages, if it has any."""
    for weight, average in averages(model):
        weight.assign(average)


def trained_weights(model):
    """Returns copies of those weights that have averages, a list for `put_back`."""
    return [np.array(array_of(weight)) for weight, _ in averages(model)]


def put_back(model, values):
    """Overwrites the weights that have averages by what `trained_weights` returned."""
    for (weight, _), value in zip(averages(model), values, strict=True):
        weight.assign(value)


@contextlib.contextmanager
def averaged_weights(model):
    """Within it a compiled model has the averages for weights; after it, its own.

    A model without averages, or without an optimizer, stays as it is.
    """
    values = trained_weights(model)
    use_averages(model)
    try:
        yield
    finally:
        put_back(model, values)


def array_of(variable):
    """Returns a Keras variable's value; it may share the variable's memory."""
    return keras.ops.convert_to_numpy(variable)


class OnAverages(keras.callbacks.Callback):
    """Lets another callback see the averages of the weights at the end of an epoch.

    For example an evaluation, so that its numbers are those of the saved models:

        OnAverages(keras_fpn.metrics.CocoEvaluation(loader))

    Args:
        callback: `keras.callbacks.Callback` that does its work in `on_epoch_end`; of
            its other methods only `set_model` and `set_params` are called.
    """

    def __init__(self, callback):
        super().__init__()
        self.callback = callback

    def set_params(self, params):
        super().set_params(params)
        self.callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        self.callback.set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        with averaged_weights(self.model):
            self.callback.on_epoch_end(epoch, logs)
