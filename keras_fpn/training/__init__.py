"""Training: plans, schedules, fine-tuning, and runs that can be resumed exactly."""

from keras_fpn.training.finetune import finetuning_plan
from keras_fpn.training.fit import Training, make_deterministic, prepare_training
from keras_fpn.training.freezing import exclude_from_decay, freeze_bottom_up
from keras_fpn.training.numbered_folders import NumberedFolders
from keras_fpn.training.plan import TrainingPlan, load_recipe
from keras_fpn.training.progress import Progress
from keras_fpn.training.run_folder import TrainingDiverged
from keras_fpn.training.schedules import (
    WarmupCosine,
    WarmupMultiStep,
    scaled_learning_rate,
)
from keras_fpn.training.sgd import SGD
from keras_fpn.training.termination import Terminated

__all__ = [
    "SGD",
    "NumberedFolders",
    "Progress",
    "Terminated",
    "Training",
    "TrainingDiverged",
    "TrainingPlan",
    "WarmupCosine",
    "WarmupMultiStep",
    "exclude_from_decay",
    "finetuning_plan",
    "freeze_bottom_up",
    "load_recipe",
    "make_deterministic",
    "prepare_training",
    "scaled_learning_rate",
]
