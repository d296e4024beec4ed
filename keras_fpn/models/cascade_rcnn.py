"""Cascade R-CNN on a feature pyramid, with and without masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import (
    ClassAgnosticBoxPredictor,
    Detections,
    FeaturePyramid,
    MeanProbabilities,
    PyramidRoIAlign,
    RefinedBoxes,
    TwoFCBoxHead,
)
from keras_fpn.layers.detections import ROI_CODER
from keras_fpn.matcher import Match
from keras_fpn.models import published_detectron2
from keras_fpn.models.build import (
    Family,
    build,
    check_strides,
    with_defaults,
    with_region,
)
from keras_fpn.models.cascade_branch import CascadeBranch, CascadeStage
from keras_fpn.models.faster_rcnn import FasterRCNN
from keras_fpn.models.mask_branch import MaskBranch
from keras_fpn.models.mask_rcnn import MaskRCNN, with_mask
from keras_fpn.models.region_branch import RegionBranch
from keras_fpn.models.two_stage import PyramidParts
from keras_fpn.preprocessing import Preprocessing

# IoU from which RoIs are positive, and weights of the box coder, in each stage.
_IOUS = (0.5, 0.6, 0.7)
_CODERS = tuple(
    BoxCoder((10.0 * n, 10.0 * n, 5.0 * n, 5.0 * n), beta=0.0) for n in (1, 2, 3)
)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class CascadeRCNNParts(PyramidParts):
    """The parts of Cascade R-CNN.

    Attributes:
        backbone, neck: as in `PyramidParts`.
        region: `RegionBranch`, the first stage.
        box: `CascadeBranch`, the stages after it.
    """

    region: RegionBranch
    box: CascadeBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class CascadeMaskRCNNParts(CascadeRCNNParts):
    """The parts of Cascade Mask R-CNN.

    Attributes:
        backbone, neck, region, box: as in `CascadeRCNNParts`.
        mask: `MaskBranch`, on the boxes of the last stage.
    """

    mask: MaskBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class CascadeRCNN(FasterRCNN):
    """Faster R-CNN with several second stages, each trained for more exact boxes.

    Source: Cai and Vasconcelos 2018 (arXiv:1712.00726); numbers as in detectron2.

    Args:
        parts: `CascadeRCNNParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.Detections`.
    """

    @property
    def loss_names(self):  # type: ignore[override]  # depends on the parts
        return RegionBranch.loss_names + self.parts.box.loss_names


@keras.saving.register_keras_serializable(package="keras_fpn")
class CascadeMaskRCNN(MaskRCNN):
    """Cascade R-CNN with a head that predicts the mask of every detection.

    Source: Cai and Vasconcelos 2019 (arXiv:1906.09756), Sec. 5; as in detectron2, the
    mask head is trained on the RoIs of the first stage.

    Args:
        parts: `CascadeMaskRCNNParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as of `MaskRCNN`.
    """

    @property
    def loss_names(self):  # type: ignore[override]  # depends on the parts
        box, mask = self.parts.box, self.parts.mask
        return RegionBranch.loss_names + box.loss_names + mask.loss_names


def with_cascade(parts: dict[str, Any], num_classes: int):
    """Returns parts by name, with the defaults of a cascade for those missing.

    Args:
        parts: dict of name -> part.
        num_classes: int, K.
    """
    parts = with_region(parts)
    levels = getattr(parts.get("roi_align"), "levels", None)
    check_strides(parts, "a roi_align whose levels have such strides", levels)
    if "cascade" not in parts:
        parts["cascade"] = tuple(
            CascadeStage(
                TwoFCBoxHead(name=f"box_head_{number}"),
                ClassAgnosticBoxPredictor(num_classes, name=f"box_predictor_{number}"),
                RefinedBoxes(coder, name=f"refined_boxes_{number}"),
                Match(iou, iou),
            )
            for number, (iou, coder) in enumerate(
                zip(_IOUS, _CODERS, strict=True), start=1
            )
        )
    # A cascade without stages raises in its branch.
    coders = [stage.refined_boxes.coder for stage in parts["cascade"]] or [ROI_CODER]
    defaults: dict[str, Callable[..., Any]] = {
        "neck": FeaturePyramid,
        "roi_align": PyramidRoIAlign,
        "mean_probabilities": MeanProbabilities,
        "detections": partial(Detections, coder=coders[-1]),
    }
    return with_defaults(parts, defaults)


def _with_cascade_and_mask(parts, num_classes):
    return with_mask(with_cascade(parts, num_classes), num_classes)


FAMILY = Family(CascadeRCNN, CascadeRCNNParts, with_cascade, published={}, coco={})
MASK_FAMILY = Family(
    CascadeMaskRCNN,
    CascadeMaskRCNNParts,
    _with_cascade_and_mask,
    published=published_detectron2.CASCADE_MASK_RCNN,
    coco=published_detectron2.CASCADE_MASK_RCNN_COCO,
)


def cascade_rcnn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "cascade_rcnn_fpn",
    **parts,
):
    """Builds Cascade R-CNN on a feature pyramid.

    Source: Cai and Vasconcelos 2018 (arXiv:1712.00726) on Lin et al. 2017
    (arXiv:1612.03144); numbers as in detectron2.

    Example:
        model = keras_fpn.models.cascade_rcnn_fpn("resnet50", weights="imagenet")
        model.compile(keras_fpn.training.SGD(0.02, momentum=0.9))

    Args:
        backbone: as in `faster_rcnn_fpn`.
        weights: None for random weights; "imagenet" for the backbone alone; or a file:
            a .keras file of a Cascade R-CNN, or a .weights.h5 file of this
            architecture. No checkpoint without masks is published.
        num_classes, class_names, category_ids, preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `CascadeRCNNParts`; None means the
            default. Those of `faster_rcnn_fpn`, but instead of "box_head" and
            "box_predictor" there are "cascade", a tuple of
            `keras_fpn.models.CascadeStage` (three, for IoUs of 0.5, 0.6 and 0.7), and
            "mean_probabilities" (`MeanProbabilities`).

    Returns:
        `keras_fpn.models.CascadeRCNN`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`, or the stages do not fit each other.
    """
    classes = (num_classes, class_names, category_ids)
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)


def cascade_mask_rcnn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "cascade_mask_rcnn_fpn",
    **parts,
):
    """Builds Cascade R-CNN with masks on a feature pyramid.

    Source: Cai and Vasconcelos 2019 (arXiv:1906.09756); numbers as in detectron2.

    Example:
        model = keras_fpn.models.cascade_mask_rcnn_fpn(
            "msra_resnet50", weights="coco"
        )

    Args:
        backbone: as in `faster_rcnn_fpn`.
        weights: as in `mask_rcnn_fpn`; "coco" needs the backbone "msra_resnet50".
        num_classes, class_names, category_ids, preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `CascadeMaskRCNNParts`; None means the
            default. Those of `cascade_rcnn_fpn` and of the mask head of
            `mask_rcnn_fpn`.

    Returns:
        `keras_fpn.models.CascadeMaskRCNN`.

    Raises:
        ValueError: as in `cascade_rcnn_fpn`.
    """
    classes = (num_classes, class_names, category_ids)
    return build(MASK_FAMILY, backbone, weights, classes, preprocessing, name, parts)
