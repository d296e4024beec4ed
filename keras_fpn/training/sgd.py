"""Stochastic gradient descent by the formulas of PyTorch."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_fpn")
class SGD(keras.optimizers.SGD):
    """SGD with momentum and weight decay by PyTorch's formulas.

        m = momentum * m + (gradient + weight_decay * w)
        w = w - learning_rate * m

    Both lines differ from `keras.optimizers.SGD`. There weight decay bypasses the
    momentum, and so is weaker by a factor of 1 / (1 - momentum), ten for 0.9; and the
    momentum holds each gradient times the learning rate of its own step, where here all
    of it is multiplied by the current rate. Training settings of torchvision and
    detectron2 give their published results with these formulas.

    Source: torch.optim.SGD (PyTorch 2), dampening 0, and `nesterov` as there.

    Args:
        learning_rate: float or schedule.
        momentum: 0..1.
        weight_decay: of all weights except those that `exclude_from_weight_decay`
            names; or None.
        nesterov: whether to look ahead by Nesterov's rule.
        **kwargs: as of every Keras optimizer: clipping, `use_ema`,
            `gradient_accumulation_steps`, ...
    """

    def __init__(
        self,
        learning_rate=0.02,
        momentum: float = 0.9,
        weight_decay: float | None = 1e-4,
        nesterov: bool = False,
        name: str = "sgd",
        **kwargs,
    ):
        super().__init__(
            learning_rate, momentum, nesterov, weight_decay, name=name, **kwargs
        )

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable by its gradient."""
        step = ops.cast(gradient, variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            step = step + self.weight_decay * variable
        if self.momentum:
            stored = self.momentums[self._get_variable_index(variable)]
            moving = self.momentum * stored + step
            self.assign(stored, moving)
            step = step + self.momentum * moving if self.nesterov else moving
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * step)

    def _apply_weight_decay(self, variables):
        """Does nothing, because `update_step` adds the decay to the gradient."""
