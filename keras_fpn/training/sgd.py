"""Stochastic gradient descent as the published recipes mean it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_fpn")
class SGD(keras.optimizers.SGD):
    """SGD with momentum and weight decay by PyTorch's formulas.

        m = momentum * m + (gradient + weight_decay * w)
        w = w - learning_rate * m

    The two differ from `keras.optimizers.SGD`. There, decay bypasses the momentum and
    so is 1 / (1 - momentum) times as weak, ten times for 0.9; and the momentum keeps
    the learning rate that each gradient came with, here all of it takes the present
    one. Recipes of torchvision and detectron2 give their published results with these.

    Source: torch.optim.SGD (PyTorch 2), dampening 0, and `nesterov` as there.

    Args:
        learning_rate: float or schedule.
        momentum: float, 0..1.
        weight_decay: float, of all weights but those that
            `exclude_from_weight_decay` names; or None.
        nesterov: bool.
        **kwargs: as of every Keras optimizer: clipping, `use_ema`,
            `gradient_accumulation_steps`, ...
    """

    def __init__(
        self,
        learning_rate=0.02,
        momentum=0.9,
        weight_decay=1e-4,
        nesterov=False,
        name="sgd",
        **kwargs,
    ):
        super().__init__(
            learning_rate, momentum, nesterov, weight_decay, name=name, **kwargs
        )

    def update_step(self, gradient, variable, learning_rate):
        """Changes one variable by its gradient."""
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
        """Does nothing: decay is a part of the gradient, see `update_step`."""
