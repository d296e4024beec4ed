"""A tiny Fast R-CNN, the second stage of a tiny Faster R-CNN."""

from models.tiny import two_levels

from keras_fpn.models import FastRCNN, FastRCNNParts


def second_stage(faster):
    """Returns a Fast R-CNN with the layers of a Faster R-CNN."""
    parts = faster.parts
    return FastRCNN(
        FastRCNNParts(parts.backbone, parts.neck, parts.box),
        faster.preprocessing,
        faster.class_names,
        faster.category_ids,
    )


def tiny_fast_rcnn(num_classes=3, **arguments):
    """Returns a detector with formula weights that finds boxes around proposals."""
    return second_stage(two_levels(num_classes, **arguments))
