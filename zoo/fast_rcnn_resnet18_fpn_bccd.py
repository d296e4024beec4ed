"""A small Fast R-CNN on blood cells, on the proposals of a small RPN.

Source: ours; the data are Shenggan's BCCD (MIT), 364 microscope images of 640x480 in
Pascal VOC's form, its own splits. Train, where BCCD is that folder and
runs/rpn_bccd/best.keras comes from zoo/rpn_resnet18_fpn_bccd.py:
    for split in train val test; do
        keras-fpn evaluate BCCD --split $split --weights runs/rpn_bccd/best.keras \
            --output runs/rpn_bccd/$split
    done
    keras-fpn train zoo/fast_rcnn_resnet18_fpn_bccd.py BCCD --split train \
        --proposals runs/rpn_bccd/train/detections.json \
        --val-split val --val-proposals runs/rpn_bccd/val/detections.json \
        --output runs/fast_rcnn_bccd
    keras-fpn evaluate BCCD --split test --weights runs/fast_rcnn_bccd/best.keras \
        --proposals runs/rpn_bccd/test/detections.json
Measured: not yet.
"""

import keras

import keras_fpn
from keras_fpn.data import MultiScale, RandomFlip
from keras_fpn.models import FastRCNNParts
from keras_fpn.models.published import small_resnet18_parts
from keras_fpn.training import TrainingPlan, WarmupCosine


def build(class_names, category_ids):
    """Returns the detector with random weights."""
    parts = small_resnet18_parts(min_size=360, max_size=480)
    own = {n: part for n, part in parts.items() if n in FastRCNNParts.names()}
    return keras_fpn.models.fast_rcnn_fpn(
        **own,
        class_names=class_names,
        category_ids=category_ids,
        preprocessing=parts["preprocessing"],
        name="fast_rcnn_resnet18_fpn_bccd",
    )


def schedule(learning_rate, steps_per_epoch, total_steps):
    """Returns the learning rate: half a cosine to 1 %, after 100 steps of warm-up."""
    return WarmupCosine(learning_rate, total_steps, 0.01, 100)


def optimizer(rate):
    """Returns AdamW, which needs fewer steps than SGD from random weights."""
    return keras.optimizers.AdamW(rate, weight_decay=0.05, global_clipnorm=10.0)


PLAN = TrainingPlan(
    name="fast_rcnn_resnet18_fpn_bccd",
    build=build,
    epochs=8,
    batch_size=8,
    learning_rate=1e-3,
    schedule=schedule,
    optimizer=optimizer,
    augment=(RandomFlip(), MultiScale((320, 336, 352, 368, 384, 400), 533)),
    dtype_policy="mixed_bfloat16",  # faster on a CPU with AVX-512 BF16
)
