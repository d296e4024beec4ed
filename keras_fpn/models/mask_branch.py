"""The mask head of a two-stage detector: a mask for every detection."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.losses import binary_cross_entropy
from keras_fpn.matcher import POSITIVE
from keras_fpn.models.class_columns import ClassColumns
from keras_fpn.models.mask_targets import MaskTargets
from keras_fpn.models.parts import Parts
from keras_fpn.models.pasted_masks import WholePixelPaste
from keras_fpn.models.roi_branch import SampledRoIs

# torchvision's
MASK_TARGETS = MaskTargets()
MASK_PASTE = WholePixelPaste()


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class MaskBranch(Parts):
    """Predicts the masks of detections.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 3; numbers as in torchvision.

    Attributes:
        mask_rows: `LeadingRows`, which leaves out rows without a detection, or without
            a positive in training.
        mask_roi_align: `PyramidRoIAlign`.
        mask_head: layer, (B, R, P, P, C) -> (B, R, P, P, C').
        mask_predictor: `MaskPredictor`.
        mask_detections: `MaskDetections`.
        mask_targets: `MaskTargets`, how targets are made in training.
        mask_paste: `WholePixelPaste` or `ExactPaste`, how masks become pixels.
    """

    mask_rows: Any
    mask_roi_align: Any
    mask_head: Any
    mask_predictor: Any
    mask_detections: Any
    mask_targets: Any = MASK_TARGETS
    mask_paste: Any = MASK_PASTE

    loss_names = ("mask_loss",)
    targets = ("masks", "mask_windows")

    def outputs(self, stages: dict, found: dict):
        """Returns the masks, dict of "masks" float32 (B, D, m, m), padded with 0.

        They are probabilities in the cells of the detections' boxes.

        Args:
            stages: dict with "pyramid".
            found: dict, as returned by `Detections`.
        """
        boxes = self.mask_rows(found["boxes"], found["num_detections"])
        mask_features = self.mask_roi_align(stages["pyramid"], boxes)
        hidden = self.mask_head(mask_features)  # (B, D', P, P, C')
        mask_logits = self.mask_predictor(hidden)  # (B, D', m, m, K)
        return {"masks": self.mask_detections(mask_logits, found["labels"])}

    def losses(self, stages: dict, positives: SampledRoIs, truth, training: bool):
        """Returns the loss of the masks of the RoIs that are positives.

        Source: He et al. 2017 (arXiv:1703.06870), Sec. 3: only the mask of the object's
        class counts. The loss of a RoI is the mean over its cells; their sum is to be
        divided by the number of positives. Where shapes do not depend on values, norms
        with the batch's statistics also see RoIs that do not count.

        Args:
            stages: dict with "pyramid" and "image_sizes".
            positives: `SampledRoIs`; those that are not positive, or whose object has
                no mask, do not count.
            truth: `GroundTruth` with masks.
            training: bool.

        Returns:
            sums: dict with "mask_loss", float32 scalar.
            count: float32 scalar, number of positives that count.
        """
        positive = positives.labels == POSITIVE
        count = ops.sum(ops.cast(positive, "int32"), axis=1)
        boxes = self.mask_rows(positives.boxes, count)  # they come first
        rows = ops.shape(boxes)[1]
        matches, positive = positives.matches[:, :rows], positive[:, :rows]
        mask_features = self.mask_roi_align(stages["pyramid"], boxes)
        hidden = self.mask_head(mask_features, training=training)
        mask_logits = ops.cast(self.mask_predictor(hidden), "float32")
        size, classes = mask_logits.shape[3:]
        sizes = stages["image_sizes"]
        targets = self.mask_targets(truth, boxes, matches, sizes, size)
        gt_labels = ops.take_along_axis(truth.labels, matches, axis=1)
        gt_labels = ops.maximum(gt_labels, 0)  # -1 is padding, whose weight is 0
        chosen = ops.one_hot(gt_labels, classes, dtype="float32")
        own_logits = ops.einsum("bsyxk,bsk->bsyx", mask_logits, chosen)
        entropy = ops.mean(binary_cross_entropy(own_logits, targets), axis=(2, 3))
        masked = ops.any(truth.masks > 0, axis=(2, 3))  # (B, G)
        masked = ops.take_along_axis(masked, matches, axis=1)
        counts = ops.cast(ops.logical_and(positive, masked), "float32")
        weights = counts * truth.weights[:, None]
        return {"mask_loss": ops.sum(entropy * weights)}, ops.sum(weights)

    def class_columns(self):
        """Returns the mask predictor's columns that belong to classes, as a tuple."""
        return (ClassColumns(self.mask_predictor.mask_logits),)
