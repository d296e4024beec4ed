"""A small region proposal network on blood cells, from random weights.

Source: ours; the data are Shenggan's BCCD (MIT), 364 microscope images of 640x480 in
Pascal VOC's form, its own splits. Train, where BCCD is that folder:
    keras-fpn train zoo/rpn_resnet18_fpn_bccd.py BCCD --split train \
        --val-split val --output runs/rpn_bccd
    keras-fpn evaluate BCCD --split test --weights runs/rpn_bccd/best.keras
Measured: AR100 62.8, AR1000 65.9 on the 72 images of the test split (small objects 6.0
and 14.0, of which there are few; medium 51.5 and 57.0; large 67.9 and 70.1), and AR100
61.4, AR1000 64.8 on the 87 of val. AP is not defined: it has no classes.
Trained on the 205 of train in 18 minutes on 2 busy cores of an AMD EPYC; commit
c8ab549, 2026-11-29, TensorFlow 2.21.
"""

import keras

import keras_fpn
from keras_fpn.data import MultiScale, RandomFlip
from keras_fpn.models import RPNParts
from keras_fpn.models.published import small_resnet18_parts
from keras_fpn.training import TrainingPlan, WarmupCosine


def build(class_names, category_ids):
    """Returns the network with random weights; it is trained on cells of any class."""
    parts = small_resnet18_parts(min_size=360, max_size=480)
    own = {name: part for name, part in parts.items() if name in RPNParts.names()}
    return keras_fpn.models.rpn_fpn(
        **own, preprocessing=parts["preprocessing"], name="rpn_resnet18_fpn_bccd"
    )


def schedule(learning_rate, steps_per_epoch, total_steps):
    """Returns the learning rate: half a cosine to 1 %, after 100 steps of warm-up."""
    return WarmupCosine(learning_rate, total_steps, 0.01, 100)


def optimizer(rate):
    """Returns AdamW, which needs fewer steps than SGD from random weights."""
    return keras.optimizers.AdamW(rate, weight_decay=0.05, global_clipnorm=10.0)


PLAN = TrainingPlan(
    name="rpn_resnet18_fpn_bccd",
    build=build,
    epochs=8,
    batch_size=8,
    learning_rate=1e-3,
    schedule=schedule,
    optimizer=optimizer,
    augment=(RandomFlip(), MultiScale((320, 336, 352, 368, 384, 400), 533)),
    dtype_policy="mixed_bfloat16",  # faster on a CPU with AVX-512 BF16
)
