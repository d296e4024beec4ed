"""Training: schedules, the optimizer, freezing, devices, resuming, a plan run."""

from keras_fpn.training.freezing import exclude_from_decay, freeze_bottom_up
from keras_fpn.training.plan import TrainingPlan
from keras_fpn.training.schedules import (
    WarmupCosine,
    WarmupMultiStep,
    scaled_learning_rate,
)
from keras_fpn.training.sgd import SGD

__all__ = [
    "SGD",
    "TrainingPlan",
    "WarmupCosine",
    "WarmupMultiStep",
    "exclude_from_decay",
    "freeze_bottom_up",
    "scaled_learning_rate",
]
