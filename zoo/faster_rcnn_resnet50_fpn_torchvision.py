"""Faster R-CNN, ResNet-50, as torchvision trained its checkpoint of 2019.

Source: torchvision 0.27, references/detection: README and train.py with the arguments
`--dataset coco --model fasterrcnn_resnet50_fpn --epochs 26 --lr-steps 16 22
--aspect-ratio-group-factor 3 --weights-backbone ResNet50_Weights.IMAGENET1K_V1`;
batch 8 GPUs x 2, SGD 0.02, momentum 0.9, decay 1e-4, 1000 steps of warm-up from 1/1000
within the first epoch, flips; photos without annotations left out, which leaves 117,266
of train2017; the backbone's stem and C2 frozen. Their AP: 37.0.
Deviations: the photos of a batch have one of three shapes, not one of eight groups of
aspect ratios; the last batch of each is filled with empty images of weight 0, not with
other photos; regions of many objects (crowds) are ignored, not treated as
background.
Train:
    keras-fpn train zoo/faster_rcnn_resnet50_fpn_torchvision.py \
        annotations/instances_train2017.json --images train2017 \
        --val annotations/instances_val2017.json --val-images val2017 \
        --backbone-weights imagenet --strategy mirrored --output runs/torchvision_1x
Measured: not yet; the COCO images were not available.
"""

import keras_fpn
from keras_fpn.backbones import resnet50
from keras_fpn.data import RandomFlip
from keras_fpn.training import SGD, TrainingPlan, WarmupMultiStep


def build(class_names, category_ids):
    """Returns the detector with random weights."""
    return keras_fpn.models.faster_rcnn_fpn(
        backbone=resnet50(), class_names=class_names, category_ids=category_ids
    )


def schedule(learning_rate, steps_per_epoch, total_steps):
    """Returns a rate that drops to a tenth after 16 and after 22 of 26 epochs."""
    milestones = [total_steps * epoch // 26 for epoch in (16, 22)]
    warmup_steps = min(1000, steps_per_epoch - 1)
    return WarmupMultiStep(learning_rate, milestones, 0.1, warmup_steps, 0.001)


def optimizer(rate):
    """Returns SGD; frozen batch norms have no weights to decay."""
    return SGD(rate, momentum=0.9, weight_decay=1e-4)


PLAN = TrainingPlan(
    name="faster_rcnn_resnet50_fpn_torchvision",
    build=build,
    epochs=26,
    batch_size=16,
    learning_rate=0.02,
    schedule=schedule,
    optimizer=optimizer,
    augment=(RandomFlip(),),
    shapes="buckets",
    keep_empty=False,
    frozen_through="C2",
    undecayed=(),
)
