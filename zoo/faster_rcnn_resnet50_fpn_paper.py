"""Faster R-CNN, ResNet-50, as the paper on Feature Pyramid Networks trained it.

Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 5.2 and 5.2.2: 8 GPUs x 2 images, 512
RoIs of each, SGD with momentum 0.9, decay 1e-4, learning rate 0.02 for 60,000 steps and
0.002 for 20,000; the shorter side 800 pixels; neither warm-up nor flips are reported.
Their AP on minival (Table 5): 33.9 for two networks, 34.3 for one that shares its
features and was trained in four steps.
Deviations: RPN and detector are trained jointly, by the schedule of the detector (that
of the RPN has 30,000 and 10,000 steps); RoIAlign, published after the paper, instead of
RoI pooling; box losses with beta 1/9, as torchvision has it; SGD by PyTorch's formulas;
train2017 instead of train2014 and 35,000 photos of val2014.
Train:
    keras-fpn train zoo/faster_rcnn_resnet50_fpn_paper.py \
        annotations/instances_train2017.json --images train2017 \
        --val annotations/instances_val2017.json --val-images val2017 \
        --backbone-weights imagenet --strategy mirrored --output runs/paper_1x
Measured: not yet; the COCO images were not available.
"""

import keras_fpn
from keras_fpn.backbones import resnet50
from keras_fpn.training import SGD, TrainingPlan, WarmupMultiStep


def build(class_names, category_ids):
    """Returns the detector with random weights."""
    return keras_fpn.models.faster_rcnn_fpn(
        backbone=resnet50(), class_names=class_names, category_ids=category_ids
    )


def schedule(learning_rate, steps_per_epoch, total_steps):
    """Returns a rate that drops to a tenth after 60,000 of 80,000 steps."""
    return WarmupMultiStep(learning_rate, [total_steps * 3 // 4], 0.1, 0)


def optimizer(rate):
    """Returns SGD; frozen batch norms have no weights to decay."""
    return SGD(rate, momentum=0.9, weight_decay=1e-4)


PLAN = TrainingPlan(
    name="faster_rcnn_resnet50_fpn_paper",
    build=build,
    steps=80_000,
    batch_size=16,
    learning_rate=0.02,
    schedule=schedule,
    optimizer=optimizer,
    shapes="buckets",
    frozen_through="C2",
    undecayed=(),
)
