"""The small Faster R-CNN on blood cells, from random weights.

Source: ours; the data are Shenggan's BCCD (MIT), 364 microscope images of 640x480 in
Pascal VOC format with its own splits. Train, where BCCD is that folder:
    keras-fpn train zoo/faster_rcnn_resnet18_fpn_bccd.py BCCD --split train \
        --val-split val --output runs/bccd
    keras-fpn evaluate BCCD --split test --weights runs/bccd/best.keras
    python scripts/ship_checkpoint.py runs/bccd/best.keras FILE
Measured: AP 59.1, AP50 90.7, AP75 68.0 of the shipped file (float32, weights stored in
float16) on the 72 images of the test split (platelets 48.6, red cells 56.6, white
cells 72.2); AP 57.5, AP50 88.5 on the 87 of val, by which the epoch was chosen. AP on
val after epochs 2, 4, 8, 12, 16, 20, 24: 13.8, 26.5, 50.5, 54.2, 56.5, 55.5, 57.3. Not
all cells are annotated. Trained on the 205 of train in 13 minutes on 2 cores of an AMD
EPYC; commit c975eab, 2026-11-21, TensorFlow 2.21.
"""

import keras

import keras_fpn
from keras_fpn.data import MultiScale, RandomFlip
from keras_fpn.models.published import small_resnet18_parts
from keras_fpn.training import TrainingPlan, WarmupCosine


def build(class_names, category_ids):
    """Returns the detector with random weights."""
    return keras_fpn.models.faster_rcnn_fpn(
        **small_resnet18_parts(min_size=360, max_size=480),
        class_names=class_names,
        category_ids=category_ids,
        name="faster_rcnn_resnet18_fpn_bccd",
    )


def schedule(learning_rate, steps_per_epoch, total_steps):
    """Returns a rate that falls along half a cosine to 1 %, after a warm-up."""
    return WarmupCosine(learning_rate, total_steps, 0.01, 100)


def optimizer(rate):
    """Returns AdamW, which needs fewer steps than SGD from random weights."""
    return keras.optimizers.AdamW(rate, weight_decay=0.05, global_clipnorm=10.0)


PLAN = TrainingPlan(
    name="faster_rcnn_resnet18_fpn_bccd",
    build=build,
    epochs=24,
    batch_size=8,
    learning_rate=1e-3,
    schedule=schedule,
    optimizer=optimizer,
    augment=(RandomFlip(), MultiScale((320, 336, 352, 368, 384, 400), 533)),
    dtype_policy="mixed_bfloat16",  # faster on a CPU with AVX-512 BF16
)
