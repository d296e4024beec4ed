"""Mask R-CNN on a feature pyramid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_fpn.layers import (
    FCNMaskHead,
    LeadingRows,
    MaskDetections,
    MaskPredictor,
    PyramidRoIAlign,
)
from keras_fpn.models import faster_rcnn, published, published_detectron2
from keras_fpn.models.build import Family, build, with_defaults
from keras_fpn.models.faster_rcnn import FasterRCNN
from keras_fpn.models.mask_branch import MaskBranch
from keras_fpn.models.two_stage import TwoStageParts
from keras_fpn.preprocessing import Preprocessing

MASK_BINS = 14  # along each side of a RoI; He et al. 2017 (arXiv:1703.06870), Fig. 4


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class MaskRCNNParts(TwoStageParts):
    """The parts of Mask R-CNN: those of Faster R-CNN and a mask head.

    Attributes:
        backbone, neck, region, box: as in `TwoStageParts`.
        mask: `MaskBranch`.
    """

    mask: MaskBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class MaskRCNN(FasterRCNN):
    """Faster R-CNN with a head that predicts the mask of every detection.

    With the parts of a `FasterRCNN` its boxes are the same.

    Source: He et al. 2017 (arXiv:1703.06870); numbers as in torchvision.

    Args:
        parts: `MaskRCNNParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.Detections`, and "masks" float32
        (B, D, m, m), probabilities in the cells of the boxes, padded with 0.
    """

    loss_names = FasterRCNN.loss_names + MaskBranch.loss_names
    targets = FasterRCNN.targets + MaskBranch.targets
    monitor = "mask_AP"

    @staticmethod
    def results(parts, stages, **limits):
        found = FasterRCNN.results(parts, stages, **limits)
        return [found, parts.mask.outputs(stages, found)]

    def roi_losses(self, stages, sampled, truth, training):
        yield from super().roi_losses(stages, sampled, truth, training)
        positives = self.parts.box.positives(sampled)
        yield self.parts.mask.losses(stages, positives, truth, training)

    @property
    def mask_paste(self):
        return self.parts.mask.mask_paste


def with_mask(parts: dict[str, Any], num_classes: int):
    """Returns parts by name, with the paper's mask head for parts that are missing.

    Args:
        parts: dict of name -> part, with "roi_align".
        num_classes: int, K.
    """
    defaults: dict[str, Callable[..., Any]] = {
        "mask_rows": LeadingRows,
        "mask_roi_align": partial(
            PyramidRoIAlign, MASK_BINS, levels=parts["roi_align"].levels
        ),
        "mask_head": FCNMaskHead,
        "mask_predictor": partial(MaskPredictor, num_classes),
        "mask_detections": MaskDetections,
    }
    return with_defaults(parts, defaults)


def _complete(parts, num_classes):
    return with_mask(faster_rcnn.FAMILY.complete(parts, num_classes), num_classes)


FAMILY = Family(
    MaskRCNN,
    MaskRCNNParts,
    _complete,
    published={**published.MASK_RCNN, **published_detectron2.MASK_RCNN},
    coco={**published.MASK_RCNN_COCO, **published_detectron2.MASK_RCNN_COCO},
)


def mask_rcnn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "mask_rcnn_fpn",
    **parts,
):
    """Builds Mask R-CNN on a feature pyramid.

    Source: He et al. 2017 (arXiv:1703.06870) on Lin et al. 2017 (arXiv:1612.03144);
    numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.mask_rcnn_fpn(weights="coco")
        found = model.detect("photo.jpg", masks="full")[0]

    Args:
        backbone: as in `faster_rcnn_fpn`.
        weights: None for random weights; "coco" for the published checkpoint with this
            backbone; "imagenet" for the backbone alone; the name of a preset; or a
            file: a .keras file of a Mask R-CNN of this package, a .weights.h5 file of
            this architecture, a .pth file of torchvision or a .pkl file of detectron2.
        num_classes, class_names, category_ids, preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `MaskRCNNParts`; None means the default.
            Those of `faster_rcnn_fpn`, and "mask_roi_align" (`PyramidRoIAlign` of 14
            bins on the levels of `roi_align`), "mask_head" (`FCNMaskHead`),
            "mask_predictor" (`MaskPredictor`), "mask_rows" (`LeadingRows`),
            "mask_detections" (`MaskDetections`), "mask_targets" (`MaskTargets`) and
            "mask_paste" (`WholePixelPaste`).

    Returns:
        `keras_fpn.models.MaskRCNN`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`.
    """
    classes = (num_classes, class_names, category_ids)
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
