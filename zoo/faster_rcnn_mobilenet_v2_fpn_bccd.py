"""Faster R-CNN, MobileNetV2 of 96 channels, on blood cells, from ImageNet weights.

Source: ours; the data are Shenggan's BCCD (MIT), 364 microscope images of 640x480 in
Pascal VOC format with its own splits. Train, where BCCD is that folder and WEIGHTS a
file of keras.applications' MobileNetV2 (or "imagenet", which downloads it):
    keras-fpn train zoo/faster_rcnn_mobilenet_v2_fpn_bccd.py BCCD --split train \
        --val-split val --backbone-weights WEIGHTS --output runs/bccd_imagenet
    keras-fpn evaluate BCCD --split test --weights runs/bccd_imagenet/best.keras
At full size, from COCO weights at 800 pixels, on a GPU (not run):
    keras-fpn finetune BCCD --split train --val-split val --output runs/bccd_resnet50
Measured: AP 55.8, AP50 90.3, AP75 62.8 on the 72 images of the test split (platelets
44.2, red cells 57.8, white cells 65.5); AP 54.7, AP50 88.4 on the 87 of val, by which
the epoch was chosen. AP on val by epoch, from the third on: 33.0, 45.6, 48.8, 51.3,
53.7, 53.2, 54.2, 54.7. Trained on the 205 of train in 6.5 minutes on 2 cores of an AMD
EPYC; commit c975eab, 2026-11-21, TensorFlow 2.21.
"""

import keras

import keras_fpn
from keras_fpn.data import RandomFlip
from keras_fpn.models.published import small_mobilenet_v2_parts
from keras_fpn.training import TrainingPlan, WarmupCosine


def build(class_names, category_ids):
    """Returns the detector; its frozen batch norms expect ImageNet weights."""
    return keras_fpn.models.faster_rcnn_fpn(
        **small_mobilenet_v2_parts(min_size=360, max_size=480),
        class_names=class_names,
        category_ids=category_ids,
        name="faster_rcnn_mobilenet_v2_fpn_bccd",
    )


def schedule(learning_rate, steps_per_epoch, total_steps):
    """Returns a rate that falls along half a cosine to 1 %, after a warm-up."""
    return WarmupCosine(learning_rate, total_steps, 0.01, 50)


def optimizer(rate):
    """Returns AdamW, which needs fewer steps than SGD for new necks and heads."""
    return keras.optimizers.AdamW(rate, weight_decay=0.05, global_clipnorm=10.0)


PLAN = TrainingPlan(
    name="faster_rcnn_mobilenet_v2_fpn_bccd",
    build=build,
    epochs=10,
    batch_size=8,
    learning_rate=5e-4,
    schedule=schedule,
    optimizer=optimizer,
    augment=(RandomFlip(),),
    frozen_through="C2",
    dtype_policy="mixed_bfloat16",  # faster on a CPU with AVX-512 BF16
)
