"""The small Faster R-CNN on generated scenes: 8 classes that differ by one feature.

Source: ours. Train:
    keras-fpn data scenes scenes/train --count 4000 --seed 1
    keras-fpn data scenes scenes/val --count 200 --seed 2
    keras-fpn train zoo/faster_rcnn_resnet18_fpn_scenes.py scenes/train/instances.json \
        --val scenes/val/instances.json --output runs/scenes
    python scripts/ship_checkpoint.py runs/scenes/best.keras FILE
Measured: AP 69.9, AP50 89.8, AP75 82.4 of the shipped file (float32, weights stored in
float16) on the 200 scenes of seed 2, not trained on; AP 69.0 for objects below 32 px
across, 73.3 for those up to 96, 59.8 above; `best.keras` itself, in bfloat16: 69.8.
Trained in 62 minutes on 2 cores of an AMD EPYC that also did other work (about 80
minutes of CPU time); commit 8842c3b, 2026-11-21, TensorFlow 2.21. AP by epoch: 30.6,
50.1, 58.5, 62.8, 66.4, 68.3, 69.2, 69.8.
"""

import keras

import keras_fpn
from keras_fpn.data import RandomFlip
from keras_fpn.models.published import small_resnet18_parts
from keras_fpn.training import TrainingPlan, WarmupCosine


def build(class_names, category_ids):
    """Returns the detector with random weights."""
    return keras_fpn.models.faster_rcnn_fpn(
        **small_resnet18_parts(min_size=320, max_size=533),
        class_names=class_names,
        category_ids=category_ids,
        name="faster_rcnn_resnet18_fpn_scenes",
    )


def schedule(learning_rate, steps_per_epoch, total_steps):
    """Returns a rate that falls along half a cosine to 1 %, after a warm-up."""
    return WarmupCosine(learning_rate, total_steps, 0.01, 200)


def optimizer(rate):
    """Returns AdamW, which needs fewer steps than SGD from random weights."""
    return keras.optimizers.AdamW(rate, weight_decay=0.05, global_clipnorm=10.0)


PLAN = TrainingPlan(
    name="faster_rcnn_resnet18_fpn_scenes",
    build=build,
    epochs=8,
    batch_size=8,
    learning_rate=1e-3,
    schedule=schedule,
    optimizer=optimizer,
    augment=(RandomFlip(),),
    dtype_policy="mixed_bfloat16",  # faster on a CPU with AVX-512 BF16
)
