"""Learning rates as functions of the step."""

import math
from collections.abc import Iterable

import keras
from keras import ops

from keras_fpn.config import arguments_of

REFERENCE_BATCH_SIZE = 16  # images per step of the published detectors' recipes


def scaled_learning_rate(
    learning_rate: float, batch_size: int, reference: int = REFERENCE_BATCH_SIZE
):
    """Returns the learning rate for another batch size, in proportion to it.

    Source: Goyal et al. 2017 (arXiv:1706.02677), Sec. 2.1.

    Args:
        learning_rate: for the reference batch size.
        batch_size: images per step over all replicas.
        reference: images per step that the learning rate is stated for.

    Returns:
        float.

    Raises:
        ValueError: a batch size below 1.
    """
    if batch_size < 1 or reference < 1:
        raise ValueError(
            "A step must take at least 1 image; received "
            f"batch_size={batch_size}, reference={reference}."
        )
    return learning_rate * batch_size / reference


class _WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly over the first steps; subclasses define the decay after them.

    The rate is multiplied by a factor that grows from `warmup_factor` at step 0 to 1 at
    step `warmup_steps`, which is how torchvision's LinearLR and detectron2 count.
    """

    def __init__(self, learning_rate: float, warmup_steps: int, warmup_factor: float):
        if warmup_steps < 0 or not 0.0 <= warmup_factor <= 1.0:
            raise ValueError(
                "A warm-up must take 0 or more steps and start at a factor of 0 to 1; "
                f"received warmup_steps={warmup_steps}, "
                f"warmup_factor={warmup_factor}."
            )
        self.learning_rate = float(learning_rate)
        self.warmup_steps = int(warmup_steps)
        self.warmup_factor = float(warmup_factor)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rate = self.learning_rate * self._decay(step)
        if self.warmup_steps == 0:
            return rate
        progress = ops.minimum(step / self.warmup_steps, 1.0)
        return rate * (self.warmup_factor + (1.0 - self.warmup_factor) * progress)

    def get_config(self):
        return arguments_of(self)

    def _decay(self, step):
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_fpn")
class WarmupMultiStep(_WarmUp):
    """Warms up, then drops at each milestone.

    Source: "1x" and its multiples in Girshick et al., Detectron (2018); the arithmetic
    as in torchvision's references and detectron2's WarmupMultiStepLR.

    Args:
        learning_rate: between the warm-up and the first milestone.
        milestones: rising steps, from each of which the rate is multiplied by `gamma`.
        gamma: factor, usually 0.1.
        warmup_steps: 0 or more.
        warmup_factor: 0..1, share of the rate at step 0.

    Call arguments:
        step: int scalar, 0 for the first step.

    Returns:
        float32 scalar.

    Raises:
        ValueError: milestones that are not rising, or a warm-up out of range.
    """

    def __init__(
        self,
        learning_rate: float,
        milestones: Iterable[int],
        gamma: float = 0.1,
        warmup_steps: int = 1000,
        warmup_factor: float = 0.001,
    ):
        super().__init__(learning_rate, warmup_steps, warmup_factor)
        self.milestones = [int(milestone) for milestone in milestones]
        self.gamma = float(gamma)
        if sorted(set(self.milestones)) != self.milestones:
            raise ValueError(
                "Milestones must be rising steps; received "
                f"milestones={self.milestones}."
            )

    def _decay(self, step):
        passed = sum(ops.cast(step >= m, "float32") for m in self.milestones)
        return self.gamma**passed if self.milestones else 1.0


@keras.saving.register_keras_serializable(package="keras_fpn")
class WarmupCosine(_WarmUp):
    """Warms up, and falls along half a cosine from step 0 to the last step.

    Source: Loshchilov & Hutter 2016 (arXiv:1608.03983), Eq. 5, without restarts; the
    warm-up multiplies it, as in detectron2's WarmupCosineLR.

    Args:
        learning_rate: the peak.
        total_steps: 1 or more; from this step on the rate is the final one.
        final_factor: share of the peak at the end.
        warmup_steps: 0 or more.
        warmup_factor: 0..1, share of the rate at step 0.

    Call arguments:
        step: int scalar, 0 for the first step.

    Returns:
        float32 scalar.

    Raises:
        ValueError: total_steps below 1, or a warm-up out of range.
    """

    def __init__(
        self,
        learning_rate: float,
        total_steps: int,
        final_factor: float = 0.0,
        warmup_steps: int = 1000,
        warmup_factor: float = 0.001,
    ):
        super().__init__(learning_rate, warmup_steps, warmup_factor)
        if total_steps < 1:
            raise ValueError(
                "A schedule must have at least 1 step; received "
                f"total_steps={total_steps}."
            )
        self.total_steps = int(total_steps)
        self.final_factor = float(final_factor)

    def _decay(self, step):
        progress = ops.minimum(step / self.total_steps, 1.0)
        cosine = 0.5 * (1.0 + ops.cos(math.pi * progress))
        return self.final_factor + (1.0 - self.final_factor) * cosine


@keras.saving.register_keras_serializable(package="keras_fpn")
class ScaledSteps(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule with all of its steps scaled: its warm-up and its drops too.

    Args:
        schedule: `keras.optimizers.schedules.LearningRateSchedule`.
        factor: float > 0, steps of that schedule in each step of this one.

    Call arguments:
        step: int scalar, 0 for the first step.

    Returns:
        float32 scalar.
    """

    def __init__(self, schedule, factor: float):
        self.schedule = schedule
        self.factor = float(factor)

    def __call__(self, step):
        return self.schedule(ops.cast(step, "float32") * self.factor)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {"schedule": serialize(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["factor"])
