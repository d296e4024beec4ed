"""Fast R-CNN on a feature pyramid, on proposals from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import keras

from keras_fpn.models.box_branch import BoxBranch
from keras_fpn.models.build import Family, build, with_box
from keras_fpn.models.detector import Detector
from keras_fpn.models.published_detectron2 import FAST_RCNN, FAST_RCNN_COCO
from keras_fpn.models.two_stage import PyramidParts, pyramid_stages
from keras_fpn.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class FastRCNNParts(PyramidParts):
    """The parts of Fast R-CNN: those of `TwoStageParts` but for the first stage.

    Attributes:
        backbone, neck, box: as in `TwoStageParts`.
    """

    box: BoxBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class FastRCNN(Detector):
    """Classifies and refines proposals that it is given together with the images.

    It is the second stage of `FasterRCNN`. If the two share their parts and the
    proposals are those of the first stage, detections and losses are equal.

    Source: Girshick 2015 (arXiv:1504.08083) on a pyramid as in Lin et al. 2017
    (arXiv:1612.03144), Sec. 4.2 and 5.2.1; numbers as in torchvision's Faster R-CNN.

    Args:
        parts: `FastRCNNParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Call arguments:
        inputs: dict as of `Detector`, and "proposals" float32 (B, R, 4), xyxy,
            input-image pixels, padded with zeros. Empty boxes are neither sampled in
            training nor detected.

    Returns:
        dict, as returned by `keras_fpn.layers.Detections`.
    """

    loss_names = BoxBranch.loss_names
    extra_inputs = MappingProxyType({"proposals": (None, 4)})
    stages = staticmethod(pyramid_stages)

    @staticmethod
    def results(parts, stages, **limits):
        return parts.box.outputs(_with_rois(stages), **limits)

    def stage_losses(self, stages, truth, seed, step, training):
        stages, box = _with_rois(stages), self.parts.box
        sampled = box.sampled(stages, truth, seed, step)
        yield from box.losses(stages, sampled, truth, training)

    def final_part(self):
        return self.parts.box.detections


def _with_rois(stages):
    return {**stages, "rois": stages["proposals"]}


FAMILY = Family(FastRCNN, FastRCNNParts, with_box, FAST_RCNN, FAST_RCNN_COCO)


def fast_rcnn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "fast_rcnn_fpn",
    **parts,
):
    """Builds Fast R-CNN on a feature pyramid.

    With the backbone and the neck of a trained RPN, the two share their features.

    Source: Girshick 2015 (arXiv:1504.08083) on Lin et al. 2017 (arXiv:1612.03144);
    numbers as in torchvision 0.27.

    Example:
        rpn = keras.models.load_model("rpn.keras")
        model = fast_rcnn_fpn(rpn.backbone, num_classes=3, neck=rpn.neck)
        proposals = [found["boxes"] for found in rpn.detect(photos)]
        found = model.detect(photos, proposals=proposals)

    Args:
        backbone: as in `faster_rcnn_fpn`.
        weights: None for random weights; "coco" for the published checkpoint with this
            backbone, "msra_resnet50"; "imagenet" for the backbone alone; the name of a
            preset; or a file: a .keras file of a Fast R-CNN of this package, a
            .weights.h5 file of this architecture, or a .pkl file of detectron2.
        num_classes, class_names, category_ids, preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `FastRCNNParts`; None means the default.
            "neck", "roi_align", "box_head", "box_predictor", "detections", "roi_match"
            and "roi_sample" as in `faster_rcnn_fpn`.

    Returns:
        `keras_fpn.models.FastRCNN`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`.
    """
    classes = (num_classes, class_names, category_ids)
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
