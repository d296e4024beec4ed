"""FCOS on a feature pyramid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_fpn.layers import (
    DenseHead,
    MultiLevelAnchors,
    PointDetections,
    PointPredictor,
)
from keras_fpn.models.build import Family, build, with_defaults
from keras_fpn.models.one_stage import OneStageDetector, strides_of_levels, with_levels
from keras_fpn.models.point_branch import PointBranch
from keras_fpn.models.published_one_stage import FCOS as PUBLISHED
from keras_fpn.models.published_one_stage import FCOS_COCO
from keras_fpn.models.two_stage import PyramidParts
from keras_fpn.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class FCOSParts(PyramidParts):
    """The parts of an FCOS.

    Attributes:
        backbone, neck: as in `PyramidParts`; the neck reads the maps from C3 on.
        dense: `PointBranch`.
    """

    dense: PointBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class FCOS(OneStageDetector):
    """A one-stage detector without anchors of several shapes.

    Each cell predicts the classes, the distances to the sides of the box around it, and
    how central it is there.

    Source: Tian et al. 2019 (arXiv:1904.01355); numbers as in torchvision.

    Args:
        parts: `FCOSParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.PointDetections`.
    """

    loss_names = PointBranch.loss_names


def _complete(parts, num_classes):
    parts = with_levels(parts, source="pyramid")
    defaults: dict[str, Callable[..., Any]] = {
        "dense_head": partial(DenseHead, norm="biased_group"),
        "detections": PointDetections,
    }
    parts = with_defaults(parts, defaults)
    if "anchors" not in parts:
        sizes = {n: (stride,) for n, stride in strides_of_levels(parts).items()}
        parts["anchors"] = MultiLevelAnchors(sizes, ratios=(1.0,), name="anchors")
    predictor = PointPredictor(num_classes, name="dense_predictor")
    return {"dense_predictor": predictor, **parts}


FAMILY = Family(
    FCOS,
    FCOSParts,
    _complete,
    published=PUBLISHED,
    coco=FCOS_COCO,
    of_strides={},  # points follow the strides
)


def fcos_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "fcos_fpn",
    **parts,
):
    """Builds FCOS on a feature pyramid.

    Source: Tian et al. 2019 (arXiv:1904.01355); numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.fcos_fpn(weights="coco")
        found = model.detect("photo.jpg")[0]

    Args:
        backbone, weights, num_classes, class_names, category_ids, preprocessing, name:
            as in `retinanet_fpn`.
        **parts: any part, by its field name in `FCOSParts`; None means the default.
            "neck" and "coarse_level" as in `retinanet_fpn`, with "coarse_source"
            "pyramid" by default; "anchors" (`MultiLevelAnchors` of one square per cell,
            whose side is the stride); "dense_head" (`DenseHead` with norm
            "biased_group"); "dense_predictor" (`PointPredictor`); "detections"
            (`PointDetections`); "dense_match" (`PointMatch`); "loss_divisor"
            (`BatchPositives`).

    Returns:
        `keras_fpn.models.FCOS`.

    Raises:
        ValueError: as in `retinanet_fpn`.
    """
    classes = (num_classes, class_names, category_ids)
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
