"""The plan of a training: all but the data, the devices and the output folder."""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

from keras_fpn.models.limits import check_whole_number
from keras_fpn.training.freezing import NORM_NAMES
from keras_fpn.training.schedules import ScaledSteps, scaled_learning_rate
from keras_fpn.weights import load_imagenet


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """How a detector is trained: all but the data, the devices and the folder.

    Attributes:
        name: of the recipe.
        build: function (class_names, category_ids) -> detector. It is called within
            the scope of the devices and of `dtype_policy`.
        epochs: passes over the data; or
        steps: number of all steps, for recipes that count so; the other is None.
        batch_size: images per step over all replicas.
        learning_rate: for this batch size.
        schedule: function (learning rate, steps per epoch, number of all steps) ->
            `keras.optimizers.schedules.LearningRateSchedule`, or a float.
        optimizer: function (what `schedule` returned) -> `keras.optimizers.Optimizer`.
        augment: augmentations of `keras_fpn.data`.
        shapes: as `keras_fpn.data.Loader` takes it.
        keep_empty: whether photos without any annotation are trained on too.
        frozen_through: the last level of the backbone that is not trained, such as
            "C2"; or None.
        undecayed: names of weights without weight decay.
        dtype_policy: as `keras.config.set_dtype_policy` takes it.

    Raises:
        ValueError: both or none of epochs and steps, or a number below 1.
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
            if value is not None:
                check_whole_number(name, value)

    def total_steps(self, steps_per_epoch: int):
        """Returns the number of all steps, int."""
        if self.epochs is not None:
            return self.epochs * steps_per_epoch
        return self.steps

    def with_batch_size(self, batch_size: int):
        """Returns the plan for another batch size, its learning rate in proportion.

        If the plan counts in steps, these, its warm-up and its drops are scaled so that
        as many images are seen before each. Source: detectron2's REFERENCE_WORLD_SIZE.
        """
        rate = scaled_learning_rate(self.learning_rate, batch_size, self.batch_size)
        plan = dataclasses.replace(self, batch_size=batch_size, learning_rate=rate)
        if self.steps is None:
            return plan
        factor = batch_size / self.batch_size

        def schedule(learning_rate, steps_per_epoch, total_steps):
            counts = (round(steps * factor) for steps in (steps_per_epoch, total_steps))
            found = self.schedule(learning_rate, *counts)
            return ScaledSteps(found, factor) if callable(found) else found

        steps = max(1, round(self.steps / factor))
        return dataclasses.replace(plan, steps=steps, schedule=schedule)

    def with_epochs(self, epochs: int):
        """Returns the plan for another number of epochs."""
        return dataclasses.replace(self, epochs=epochs, steps=None)

    def with_backbone_weights(self, source: str):
        """Returns the plan with ImageNet weights for the backbone to start from.

        Args:
            source: as `keras_fpn.weights.load_imagenet` takes it. They are loaded when
                the detector is built, which raises ValueError if that fails.
        """

        def build(class_names, category_ids):
            model = self.build(class_names, category_ids)
            try:
                load_imagenet(model.backbone, source)
            except (ValueError, OSError) as error:
                raise ValueError(
                    f"The backbone weights {source} cannot be loaded: {error}"
                ) from error
            return model

        return dataclasses.replace(self, build=build)


def load_recipe(path: str | pathlib.Path):
    """Runs the Python file of a recipe and returns its `PLAN`, a `TrainingPlan`.

    Raises:
        ValueError: it is not a Python file, or defines no such plan.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(
            f"A recipe must be a Python file; received {path}, which does not exist."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"A recipe must be a Python file (.py); received {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plan = getattr(module, "PLAN", None)
    if not isinstance(plan, TrainingPlan):
        raise ValueError(
            "A recipe must define PLAN, a keras_fpn.training.TrainingPlan; received "
            f"{path} with PLAN={plan!r}."
        )
    return plan
