"""Keypoint R-CNN on a feature pyramid: Faster R-CNN and one branch more."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_fpn.layers import (
    KeypointHead,
    KeypointPredictor,
    LogitPeaks,
    PyramidRoIAlign,
)
from keras_fpn.models import faster_rcnn
from keras_fpn.models.build import Family, build, with_defaults
from keras_fpn.models.faster_rcnn import FasterRCNN
from keras_fpn.models.keypoint_branch import KeypointBranch
from keras_fpn.models.keypoint_set import COCO_PERSON
from keras_fpn.models.published_keypoints import KEYPOINT_RCNN, KEYPOINT_RCNN_COCO
from keras_fpn.models.two_stage import TwoStageParts
from keras_fpn.preprocessing import Preprocessing

POOLED = 14  # cells along each side of a RoI; He et al. 2017 (arXiv:1703.06870), Sec. 5


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class KeypointRCNNParts(TwoStageParts):
    """The parts of Keypoint R-CNN.

    Attributes:
        backbone, neck, region, box: as in `TwoStageParts`.
        keypoint: `KeypointBranch`.
    """

    keypoint: KeypointBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class KeypointRCNN(FasterRCNN):
    """Faster R-CNN that also locates the keypoints of what it detects.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 5, on a pyramid as in Lin et al.
    2017 (arXiv:1612.03144); numbers as in torchvision.

    Args:
        parts: `KeypointRCNNParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.Detections`, and "keypoints" float32
        (B, D, J, 3), x and y in input-image pixels and the score, padded with 0.
    """

    loss_names = FasterRCNN.loss_names + KeypointBranch.loss_names
    targets = FasterRCNN.targets + KeypointBranch.targets
    monitor = "keypoint_AP"

    @staticmethod
    def results(parts, stages, **limits):
        found = FasterRCNN.results(parts, stages, **limits)
        return [found, parts.keypoint.outputs(stages, found)]

    def roi_losses(self, stages, sampled, truth, training):
        yield from super().roi_losses(stages, sampled, truth, training)
        positives = self.parts.box.positives(sampled)
        yield self.parts.keypoint.losses(stages, positives, truth)

    @property
    def keypoint_set(self):
        """`KeypointSet`, saved with the model."""
        return self.parts.keypoint.keypoint_set

    @property
    def keypoint_threshold(self):
        """float, the score above which pictures show a keypoint."""
        return self.parts.keypoint.keypoint_peaks.shown_above


def _complete(parts, num_classes):
    parts = faster_rcnn.FAMILY.complete(parts, num_classes)
    read = {
        name: getattr(parts["roi_align"], name)
        for name in ("sampling_ratio", "aligned", "levels")
    }
    keypoints = parts.setdefault("keypoint_set", COCO_PERSON)
    made = {
        "keypoint_roi_align": PyramidRoIAlign(
            POOLED, name="keypoint_roi_align", **read
        ),
        "keypoint_predictor": KeypointPredictor(
            len(keypoints), name="keypoint_predictor"
        ),
    }
    defaults = {"keypoint_head": KeypointHead, "keypoint_peaks": LogitPeaks}
    return {**made, **with_defaults(parts, defaults)}


FAMILY = Family(
    KeypointRCNN, KeypointRCNNParts, _complete, KEYPOINT_RCNN, KEYPOINT_RCNN_COCO
)


def keypoint_rcnn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "keypoint_rcnn_fpn",
    **parts,
):
    """Builds Keypoint R-CNN on a feature pyramid.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 5, on Lin et al. 2017
    (arXiv:1612.03144); numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.keypoint_rcnn_fpn(weights="coco")
        found = model.detect("photo.jpg")[0]
        x, y, score = found["keypoints"][0, 0]  # the nose of the first person

    Args:
        backbone: as in `faster_rcnn_fpn`.
        weights: None for random weights; "coco" for the published checkpoint with this
            backbone, "resnet50" or "msra_resnet50"; "imagenet" for the backbone alone;
            the name of a preset; or a file: a .keras file of a Keypoint R-CNN of this
            package, a .weights.h5 file of this architecture, a .pth file of torchvision
            or a .pkl file of detectron2.
        num_classes, class_names, category_ids: as in `faster_rcnn_fpn`; without weights
            of a detector the default is one class, "person".
        preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `KeypointRCNNParts`; None means the
            default. Those of `faster_rcnn_fpn`; "keypoint_set", a
            `keras_fpn.models.KeypointSet` (COCO's 17 keypoints of a person);
            "keypoint_roi_align" (`PyramidRoIAlign` of 14x14 cells that samples as
            roi_align does); "keypoint_head" (`KeypointHead`); "keypoint_predictor"
            (`KeypointPredictor`); "keypoint_peaks" (`LogitPeaks`), whose scores are
            logits, or `ProbabilityPeaks`.

    Returns:
        `keras_fpn.models.KeypointRCNN`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`, or the predictor and the set have different
            numbers of keypoints.
    """
    classes = (num_classes, class_names, category_ids)
    if weights in (None, "imagenet") and classes == (None, None, None):
        classes = (1, ["person"], [1])
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
