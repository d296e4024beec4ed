"""Small models, and a stand-in for one, that are saved in no time."""

import zipfile
from types import SimpleNamespace

import keras
import numpy as np

SETTINGS = {"epochs": 3, "optimizer": {"name": "sgd", "rate": 0.1}, "sizes": (320, 480)}


def compiled(units=4, **arguments):
    """A model of one layer, all weights 1, its optimizer built."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(units, kernel_initializer="ones")]
    )
    defaults = {"learning_rate": 0.1, "momentum": 0.9}
    model.compile(keras.optimizers.SGD(**{**defaults, **arguments}), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def compiled_by_parts():
    """A model of two layers, each with an optimizer of its own."""
    layers = [
        keras.layers.Dense(4, kernel_initializer="ones", name=name)
        for name in ("body", "head")
    ]
    model = keras.Sequential([keras.Input((2,)), *layers])
    optimizers = keras.optimizers.OptimizerMap(
        keras.optimizers.SGD(0.01, momentum=0.9, use_ema=True, ema_momentum=0.5)
    )
    optimizers[".*head.*"] = keras.optimizers.AdamW(0.1)
    model.compile(keras.optimizers.MultiOptimizer(optimizers), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def state_of(model):
    """Copies of all variables of a training."""
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def fill(model, value):
    """Fills the variables with `value`, `value` + 1, and so on."""
    variables = [*model.variables, *model.optimizer.variables]
    for place, variable in enumerate(variables):
        variable.assign(np.full(variable.shape, value + place))


class Numbers:
    """Stands in for a compiled model with one array; it needs no backend."""

    def __init__(self):
        self.values = np.zeros(3)
        self.optimizer = SimpleNamespace(variables=[], built=True, use_ema=False)
        self.compiled = True
        self.metrics_variables = []

    @property
    def variables(self):
        return [self.values]

    def save(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.weights.h5", self.values.tobytes())

    def load_weights(self, path):
        with zipfile.ZipFile(path) as archive:
            self.values = np.frombuffer(archive.read("model.weights.h5"))
