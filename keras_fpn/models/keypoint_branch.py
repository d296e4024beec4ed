"""The keypoint branch: a head that locates the keypoints of detected objects."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_fpn.boxes import split_boxes, take_rows
from keras_fpn.layers.leading_rows import LeadingRows
from keras_fpn.matcher import POSITIVE
from keras_fpn.models.keypoint_set import COCO_PERSON
from keras_fpn.models.parts import Parts


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class KeypointBranch(Parts):
    """Locates the keypoints of objects, whatever their class.

    Source: He et al. 2017 (arXiv:1703.06870), Sec. 5.

    Attributes:
        keypoint_roi_align: `PyramidRoIAlign`.
        keypoint_head: `KeypointHead`.
        keypoint_predictor: `KeypointPredictor`.
        keypoint_peaks: `LogitPeaks` or `ProbabilityPeaks`.
        keypoint_set: `KeypointSet`.

    Raises:
        ValueError: the predictor has another number of keypoints than the set.
    """

    keypoint_roi_align: Any
    keypoint_head: Any
    keypoint_predictor: Any
    keypoint_peaks: Any
    keypoint_set: Any = COCO_PERSON

    loss_names = ("keypoint_loss",)
    targets = ("keypoints",)

    def __post_init__(self):
        count = self.keypoint_predictor.num_keypoints
        if count != len(self.keypoint_set):
            raise ValueError(
                "The predictor must have one map for each keypoint; received "
                f"num_keypoints={count} and a keypoint_set of "
                f"{len(self.keypoint_set)}. Pass keypoint_set alone, or both."
            )

    def outputs(self, stages: dict, found: dict):
        """Returns the keypoints of detections.

        Args:
            stages: dict with "pyramid".
            found: dict, as returned by `BoxBranch.outputs`.

        Returns:
            dict with "keypoints" float32 (B, D, J, 3), x and y in input-image pixels
            and the score, padded with 0.
        """
        boxes, count = found["boxes"], found["num_detections"]
        rois = LeadingRows(name="keypoint_rois")(boxes, count)  # (B, D', 4)
        roi_features = self.keypoint_roi_align(stages["pyramid"], rois)
        hidden = self.keypoint_head(roi_features)
        logits = self.keypoint_predictor(hidden)  # (B, D', S, S, J)
        return {"keypoints": self.keypoint_peaks(logits, boxes, count)}

    def losses(self, stages: dict, positives, truth):
        """Returns the loss of the keypoints of the RoIs that are positives.

        It is the cross entropy of a softmax over the cells of each heat map, for the
        annotated keypoints within the RoI; to be divided by their number, as in
        torchvision and detectron2.

        Args:
            stages: dict with "pyramid".
            positives: `SampledRoIs`; those that are not positive do not count.
            truth: `GroundTruth` with keypoints.

        Returns:
            sums: dict with "keypoint_loss", float32 scalar.
            count: float32 scalar, number of keypoints.

        Raises:
            ValueError: objects have another number of keypoints than the detector.
        """
        self._check(truth.keypoints)
        positive = positives.labels == POSITIVE
        count = ops.sum(ops.cast(positive, "int32"), axis=1)
        rois = LeadingRows()(positives.boxes, count)  # positives come first
        rows = ops.shape(rois)[1]
        matches, positive = positives.matches[:, :rows], positive[:, :rows]
        roi_features = self.keypoint_roi_align(stages["pyramid"], rois)
        logits = self.keypoint_predictor(self.keypoint_head(roi_features))
        keypoints = take_rows(truth.keypoints, matches)  # (B, S, J, 3)
        targets, valid = heat_map_cells(keypoints, rois, logits.shape[2])
        weights = ops.cast(ops.logical_and(valid, positive[..., None]), "float32")
        weights = weights * truth.weights[:, None, None]
        shape = (*ops.shape(rois)[:2], logits.shape[2] ** 2, len(self.keypoint_set))
        logits = ops.reshape(ops.cast(logits, "float32"), shape)
        chosen = ops.take_along_axis(logits, targets[:, :, None], axis=2)[:, :, 0]
        entropy = ops.logsumexp(logits, axis=2) - chosen  # (B, S, J)
        return {"keypoint_loss": ops.sum(entropy * weights)}, ops.sum(weights)

    def _check(self, keypoints):
        wanted = (len(self.keypoint_set), 3)
        if tuple(keypoints.shape[2:]) != wanted:
            raise ValueError(
                "Objects must have the keypoints of the detector, x, y and visibility "
                f"of each, (B, G, {wanted[0]}, 3); received keypoints of shape "
                f"{tuple(keypoints.shape)}. Build the detector with the data set's "
                "keypoint_set."
            )


def heat_map_cells(keypoints, rois, cells: int):
    """Returns the cell of each keypoint in a heat map over its RoI.

    A keypoint on the right or lower edge is in the last cell.

    Args:
        keypoints: float32 (B, S, J, 3), x, y, visibility.
        rois: float32 (B, S, 4), xyxy, of the same pixels.
        cells: int, along each side of the map.

    Returns:
        cells: int32 (B, S, J), row * cells + column; 0 if not valid.
        valid: bool (B, S, J), whether the keypoint is annotated and within the RoI.
    """
    x1, y1, x2, y2 = (ops.expand_dims(edge, 2) for edge in split_boxes(rois))
    column = _cell(keypoints[..., 0], x1, x2, cells)
    row = _cell(keypoints[..., 1], y1, y2, cells)
    inside = ops.logical_and(
        ops.minimum(row, column) >= 0, ops.maximum(row, column) < cells
    )
    valid = ops.logical_and(inside, keypoints[..., 2] > 0)
    place = ops.where(valid, row * cells + column, 0.0)
    return ops.cast(place, "int32"), valid


def _cell(places, low, high, cells):
    """Returns cells along an axis, float32, below 0 or from `cells` on if outside."""
    side = ops.where(high > low, high - low, 1.0)
    cell = ops.floor((places - low) * (cells / side))
    return ops.where(places == high, float(cells - 1), cell)
