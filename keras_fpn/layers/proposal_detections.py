"""Turns proposals into detections, for a region proposal network without a head."""

import keras
from keras import ops

from keras_fpn.layers.detections import ResultLimits, detections_spec


@keras.saving.register_keras_serializable(package="keras_fpn")
class ProposalDetections(ResultLimits):
    """Returns the best proposals as detections of one class, "object".

    Args:
        score_threshold: float, 0..1; only proposals with an objectness above it are
            kept.
        max_detections: int, D, maximum number of proposals per image.

    Call arguments:
        rois: float32 (B, R, 4), xyxy, input-image pixels, sorted by score, highest
            first, padded with empty boxes, as returned by `Proposals`.
        roi_scores: float32 (B, R), objectness, 0..1, padded with 0.
        score_threshold, max_detections: replace the layer's own values in this call.

    Returns:
        dict, as returned by `Detections`, with min(D, R) rows per image; "labels" are
        0, padded with -1.
    """

    def call(self, rois, roi_scores, score_threshold=None, max_detections=None):
        threshold, limit = self.limits(score_threshold, max_detections)
        scores = roi_scores[:, :limit]
        kept = scores > threshold  # a run from the start, because scores are sorted
        return {
            "boxes": ops.where(kept[..., None], rois[:, :limit], 0.0),
            "labels": ops.where(kept, 0, -1),
            "scores": ops.where(kept, scores, 0.0),
            "num_detections": ops.sum(ops.cast(kept, "int32"), axis=1),
        }

    def compute_output_spec(
        self, rois, roi_scores, score_threshold=None, max_detections=None
    ):
        batch, count = rois.shape[:2]
        limit = max_detections or self.max_detections
        return detections_spec(batch, limit if count is None else min(count, limit))
