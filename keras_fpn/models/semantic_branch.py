"""The semantic branch: the class of every pixel, from all levels of the pyramid."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_fpn.layers.semantic_head import STRIDE
from keras_fpn.models.class_columns import ClassColumns
from keras_fpn.models.panoptic_merge import PanopticMerge
from keras_fpn.models.parts import Parts
from keras_fpn.models.stuff_set import COCO_STUFF
from keras_fpn.ops.upsampled_cross_entropy import upsampled_cross_entropy

PANOPTIC_MERGE = PanopticMerge()


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class SemanticBranch(Parts):
    """Predicts the class of every pixel.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3.

    Attributes:
        semantic_head: `SemanticFPNHead`.
        semantic_predictor: `SemanticPredictor`.
        semantic_loss_weight: float, by which the loss is multiplied.
    """

    semantic_head: Any
    semantic_predictor: Any
    semantic_loss_weight: float = 1.0

    loss_names = ("semantic_loss",)
    targets = ("semantic_map",)

    def outputs(self, stages: dict):
        """Returns dict of "semantic_logits", float32 (B, h, w, C), of stride 4.

        Args:
            stages: dict with "pyramid".
        """
        return {"semantic_logits": self._logits(stages, training=False)}

    def losses(self, stages: dict, truth, training: bool):
        """Returns the loss of the classes of pixels.

        It is the cross entropy of the logits after bilinear upsampling to the image;
        to be divided by the number of pixels that are labelled.

        Args:
            stages: dict with "pyramid".
            truth: `GroundTruth` with a semantic map.
            training: bool.

        Returns:
            sums: dict with "semantic_loss", float32 scalar.
            count: float32 scalar, number of labelled pixels.

        Raises:
            ValueError: the map does not have the size of the images.
        """
        logits = self._logits(stages, training)
        labels = truth.semantic_map
        _check_size(labels, logits)
        total, count = upsampled_cross_entropy(logits, labels, truth.weights, STRIDE)
        return {"semantic_loss": total * self.semantic_loss_weight}, count

    def class_columns(self):
        """Returns the predictor's columns that belong to classes, as a tuple."""
        return (ClassColumns(self.semantic_predictor.logits),)

    def _logits(self, stages, training):
        features = self.semantic_head(stages["pyramid"], training=training)
        return self.semantic_predictor(features)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class StuffBranch(SemanticBranch):
    """The semantic branch of a panoptic detector, in which all things are one class.

    Source: Kirillov et al. 2019 (arXiv:1901.02446), Sec. 3; numbers as in detectron2.

    Attributes:
        semantic_head, semantic_predictor, semantic_loss_weight: as in `SemanticBranch`;
            the predictor is a `StuffPredictor`.
        stuff: `StuffSet`.
        panoptic_merge: `PanopticMerge`.

    Raises:
        ValueError: the predictor has another number of stuff classes than the set.
    """

    semantic_loss_weight: float = 0.5
    stuff: Any = COCO_STUFF
    panoptic_merge: Any = PANOPTIC_MERGE

    def __post_init__(self):
        count = self.semantic_predictor.num_stuff
        if count != len(self.stuff):
            raise ValueError(
                "The predictor must have as many classes of stuff as the set; received "
                f"num_stuff={count} and {len(self.stuff)} classes of stuff. Pass stuff "
                "alone, or both."
            )

    def class_columns(self):
        """Returns an empty tuple: stuff is no class of the detector's objects."""
        return ()


def _check_size(labels, logits):
    """Raises an error if a size that is known differs from that of the images."""
    wanted = [side and side * STRIDE for side in logits.shape[1:3]]
    pairs = zip(labels.shape[1:], wanted, strict=True)
    if any(own and side and own != side for own, side in pairs):
        raise ValueError(
            "semantic_map must have the height and width of the padded images, "
            f"(B, {wanted[0]}, {wanted[1]}); received {tuple(labels.shape)}. Its "
            "padding is 255."
        )
