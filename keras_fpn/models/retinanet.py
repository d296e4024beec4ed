"""RetinaNet on a feature pyramid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_fpn.layers import (
    DenseDetections,
    DenseHead,
    DensePredictor,
    MultiLevelAnchors,
)
from keras_fpn.models.build import Family, build, with_defaults
from keras_fpn.models.dense_branch import DenseBranch
from keras_fpn.models.one_stage import OneStageDetector, strides_of_levels, with_levels
from keras_fpn.models.published_one_stage import RETINANET, RETINANET_COCO
from keras_fpn.models.two_stage import PyramidParts
from keras_fpn.preprocessing import Preprocessing

# Lin et al. 2017 (arXiv:1708.02002), Sec. 4: 32 px on P3, whose stride is 8, and two
# thirds of an octave above. That sizes are whole numbers is torchvision's.
_STRIDES_PER_SIZE = 4
_OCTAVES = (0, 1 / 3, 2 / 3)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class RetinaNetParts(PyramidParts):
    """The parts of a RetinaNet.

    Attributes:
        backbone, neck: as in `PyramidParts`; the neck reads the maps from C3 on.
        dense: `DenseBranch`.
    """

    dense: DenseBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class RetinaNet(OneStageDetector):
    """A one-stage detector: a head that classifies and refines every anchor.

    Source: Lin et al. 2017 (arXiv:1708.02002); numbers as in torchvision.

    Args:
        parts: `RetinaNetParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.DenseDetections`.
    """

    loss_names = DenseBranch.loss_names


def _complete(parts, num_classes):
    parts = with_levels(parts, source="bottom_up")
    defaults = {"dense_head": DenseHead, "detections": DenseDetections}
    parts = with_defaults(parts, defaults)
    if "anchors" not in parts:
        sizes = {
            name: tuple(int(_STRIDES_PER_SIZE * stride * 2**o) for o in _OCTAVES)
            for name, stride in strides_of_levels(parts).items()
        }
        parts["anchors"] = MultiLevelAnchors(sizes, name="anchors")
    predictor = DensePredictor(
        num_classes, parts["anchors"].per_cell, name="dense_predictor"
    )
    return {"dense_predictor": predictor, **parts}


FAMILY = Family(
    RetinaNet,
    RetinaNetParts,
    _complete,
    published=RETINANET,
    coco=RETINANET_COCO,
    of_strides={},  # anchors follow the strides
)


def retinanet_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "retinanet_fpn",
    **parts,
):
    """Builds RetinaNet on a feature pyramid.

    Source: Lin et al. 2017 (arXiv:1708.02002); numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.retinanet_fpn(weights="coco")
        found = model.detect("photo.jpg")[0]

    Args:
        backbone, weights, class_names, category_ids, preprocessing, name: as in
            `faster_rcnn_fpn`. Maps finer than C3 are not read.
        num_classes: int, K. None takes the checkpoint's number, or COCO's 90 columns
            without a checkpoint. If it differs from the checkpoint's, everything but
            the convolution that predicts the classes is loaded, with a warning.
        **parts: any part, by its field name in `RetinaNetParts`; None means the
            default. "neck" as in `faster_rcnn_fpn`; "coarse_level", a layer that adds
            coarser levels (`ConvolvedLevels`), and "coarse_source", "bottom_up" (the
            default of the default layer) or "pyramid"; "anchors" (`MultiLevelAnchors`
            of three sizes from 4 strides on, and three ratios); "dense_head"
            (`DenseHead`); "dense_predictor" (`DensePredictor`); "detections"
            (`DenseDetections`); "dense_match" (`Match`); "loss_divisor"
            (`ImagePositives`).

    Returns:
        `keras_fpn.models.RetinaNet`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`, or the backbone has no map from C3 on.
    """
    classes = (num_classes, class_names, category_ids)
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
