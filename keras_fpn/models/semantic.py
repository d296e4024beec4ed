"""Semantic FPN: the class of every pixel, and no objects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_fpn.layers import FeaturePyramid, SemanticFPNHead, SemanticPredictor
from keras_fpn.models.build import Family, build, check_strides, with_defaults
from keras_fpn.models.detector import Detector
from keras_fpn.models.semantic_branch import SemanticBranch
from keras_fpn.models.stuff_set import COCO_STUFF, semantic_names
from keras_fpn.models.two_stage import PyramidParts, pyramid_stages
from keras_fpn.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class SemanticParts(PyramidParts):
    """The parts of a Semantic FPN.

    Attributes:
        backbone, neck: as in `PyramidParts`.
        semantic: `SemanticBranch`.
    """

    semantic: SemanticBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class SemanticFPN(Detector):
    """Assigns a class to every pixel.

    Class i of its maps is `class_names[i]`.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3; numbers as in detectron2.

    Args:
        parts: `SemanticParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict with "semantic_logits" float32 (B, h, w, K), of stride 4.
    """

    loss_names = SemanticBranch.loss_names
    targets = SemanticBranch.targets
    monitor = "mIoU"

    stages = staticmethod(pyramid_stages)

    @staticmethod
    def results(parts, stages, **limits):
        return parts.semantic.outputs(stages)

    def stage_losses(self, stages, truth, seed, step, training):
        yield self.parts.semantic.losses(stages, truth, training)

    def final_part(self):
        return None


def with_semantic(parts: dict[str, Any], predictor: Callable[..., Any]):
    """Returns parts by name, with the paper's semantic head for parts that are missing.

    Args:
        parts: dict of name -> part.
        predictor: function that returns the predictor, called with its name.

    Raises:
        ValueError: as in `check_strides`.
    """
    check_strides(parts, "a backbone whose maps have these strides")
    defaults: dict[str, Callable[..., Any]] = {
        "neck": FeaturePyramid,
        "semantic_head": SemanticFPNHead,
        "semantic_predictor": predictor,
    }
    return with_defaults(parts, defaults)


def _complete(parts, num_classes):
    return with_semantic(parts, partial(SemanticPredictor, num_classes))


FAMILY = Family(SemanticFPN, SemanticParts, _complete, published={}, coco={})


def semantic_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "semantic_fpn",
    **parts,
):
    """Builds a Semantic FPN.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3; numbers as in detectron2.

    Example:
        model = keras_fpn.models.semantic_fpn(
            "resnet50", weights="imagenet", class_names=["road", "car", "sky"]
        )
        model.compile(keras_fpn.training.SGD(0.02, momentum=0.9))

    Args:
        backbone: as in `faster_rcnn_fpn`; it needs a map C2.
        weights: None for random weights; "imagenet" for the backbone alone; or a file:
            a .keras file of a Semantic FPN, or a .weights.h5 file of this architecture.
        num_classes: int, K, at most 255.
        class_names, category_ids: as in `faster_rcnn_fpn`. The default without a file
            is "things" and COCO's 53 classes of stuff.
        preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `SemanticParts`; None means the default.
            "neck" as in `faster_rcnn_fpn`; "semantic_head" (`SemanticFPNHead`);
            "semantic_predictor" (`SemanticPredictor`); "semantic_loss_weight" (1.0).

    Returns:
        `keras_fpn.models.SemanticFPN`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`, or a map C<l> does not have stride 2^l.
    """
    classes: tuple = (num_classes, class_names, category_ids)
    if weights in (None, "imagenet") and classes == (None, None, None):
        names = semantic_names(COCO_STUFF)
        classes = (len(names), names, [0, *COCO_STUFF.ids])
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
