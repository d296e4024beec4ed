"""What a recipe states: how a detector is trained, apart from data and devices."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from keras_fpn.training.freezing import NORM_NAMES
from keras_fpn.training.schedules import scaled_learning_rate


@dataclass(frozen=True)
class TrainingPlan:
    """How a detector is trained: all but the data, the devices and the folder.

    Attributes:
        name: str, the recipe's.
        build: function (class_names, category_ids) -> detector. It is called within
            the scope of the devices and of `dtype_policy`.
        epochs: int, passes over the data; or
        steps: int, steps in all, for recipes that count so; the other is None.
        batch_size: int, images per step over all replicas.
        learning_rate: float, for this batch size.
        schedule: function (learning rate, steps per epoch, steps in all) ->
            `keras.optimizers.schedules.LearningRateSchedule`, or a float.
        optimizer: function (what `schedule` returned) -> `keras.optimizers.Optimizer`.
        augment: tuple, augmentations of `keras_fpn.data.augment`.
        shapes: as `keras_fpn.data.Loader` takes it.
        keep_empty: bool, whether photos without any annotation are trained on, too.
        frozen_through: str, the last level of the backbone that is not trained, such as
            "C2"; or None.
        undecayed: tuple of str, names of weights without weight decay.
        dtype_policy: str, as `keras.config.set_dtype_policy` takes it.
    """

    name: str
    build: Callable[[list[str], list[int]], Any]
    batch_size: int
    learning_rate: float
    schedule: Callable[[float, int, int], Any]
    optimizer: Callable[[Any], Any]
    epochs: int | None = None
    steps: int | None = None
    augment: tuple = ()
    shapes: Any = None
    keep_empty: bool = True
    frozen_through: str | None = None
    undecayed: tuple[str, ...] = NORM_NAMES
    dtype_policy: str = "float32"

    def __post_init__(self):
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                "A plan must state either epochs or steps; received "
                f"epochs={self.epochs}, steps={self.steps}."
            )
        for name in ("epochs", "steps", "batch_size"):
            value = getattr(self, name)
            if value is not None and (int(value) != value or value < 1):
                raise ValueError(
                    f"{name} must be a whole number of at least 1; received "
                    f"{name}={value}."
                )

    def total_steps(self, steps_per_epoch):
        """Returns the steps in all, int, where an epoch has so many."""
        if self.steps is not None:
            return self.steps
        return self.epochs * steps_per_epoch

    def with_batch_size(self, batch_size):
        """Returns the plan for another batch size, its learning rate in proportion."""
        rate = scaled_learning_rate(self.learning_rate, batch_size, self.batch_size)
        return replace(self, batch_size=batch_size, learning_rate=rate)
