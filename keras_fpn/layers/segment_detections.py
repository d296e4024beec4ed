"""Turns the predictions of `SegmentHead` into results: the best, and their masks."""

import math

import keras
from keras import KerasTensor, ops

from keras_fpn.boxes import clip_boxes, split_boxes
from keras_fpn.layers.detections import ResultLimits, detections_spec
from keras_fpn.layers.segment_head import scores_and_masks
from keras_fpn.levels import ordered_names


@keras.saving.register_keras_serializable(package="keras_fpn")
class TopSegments(ResultLimits):
    """Chooses the windows with the highest scores, whose masks are then predicted.

    Windows centered in the padding of an image are left out. There is no non-maximum
    suppression.

    Source: Lin et al. 2017 (arXiv:1612.03144), Appendix A.

    Args:
        score_threshold: float, 0..1; only windows with a score above it are kept.
        max_detections: int, D, maximum number per image.

    Call arguments:
        logits: float (B, N), as returned by `SegmentHead`.
        windows: dict "P<l>" -> float32 (N_l, 4), xyxy, input-image pixels.
        image_sizes: float (B, 2), height and width without the padding, pixels.
        score_threshold, max_detections: replace the layer's own values in this call.

    Returns:
        indices: int32 (B, D), 0..N-1, by score, highest first.
        scores: float32 (B, D), 0..1, padded with 0.
    """

    def call(
        self, logits, windows, image_sizes, score_threshold=None, max_detections=None
    ):
        threshold, limit = self.limits(score_threshold, max_detections)
        scores = ops.sigmoid(ops.cast(logits, "float32"))
        boxes = all_windows(windows)
        scores = ops.where(centered_inside(boxes, image_sizes), scores, 0.0)
        # Padded, because `ops.top_k` raises if there are fewer windows.
        scores = ops.pad(scores, ((0, 0), (0, limit)))
        scores, indices = ops.top_k(scores, limit)
        indices = ops.minimum(indices, ops.shape(boxes)[0] - 1)
        scores = ops.where(scores > threshold, scores, 0.0)
        return ops.cast(indices, "int32"), scores

    def compute_output_spec(
        self, logits, windows, image_sizes, score_threshold=None, max_detections=None
    ):
        shape = (logits.shape[0], max_detections or self.max_detections)
        return KerasTensor(shape, "int32"), KerasTensor(shape, "float32")


@keras.saving.register_keras_serializable(package="keras_fpn")
class SegmentDetections(keras.layers.Layer):
    """Returns chosen windows and their masks as detections of one class, "object".

    Boxes are the smallest around the cells of a mask that reach the threshold, clipped
    to the image; those of a mask without any are the window. So they follow the mask
    in steps of a cell, 1 / m of the window.

    Args:
        mask_threshold: float, 0..1, from which probability on a pixel belongs to
            a mask.

    Call arguments:
        indices: int (B, D), 0..N-1, from `TopSegments`.
        scores: float (B, D), 0..1, padded with 0.
        predictions: float (B, D, 1 + m * m), from `SegmentHead` at these indices.
        windows: dict "P<l>" -> float32 (N_l, 4), xyxy, input-image pixels.
        image_sizes: float (B, 2), height and width without the padding, pixels.

    Returns:
        dict, as returned by `Detections`, with "labels" 0, padded with -1; and "masks"
        float32 (B, D, m, m), probabilities in the cells of "mask_windows", float32
        (B, D, 4), xyxy, input-image pixels, both padded with 0.
    """

    def __init__(self, mask_threshold: float = 0.5, **kwargs):
        # Boxes and probabilities are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mask_threshold = mask_threshold

    def call(self, indices, scores, predictions, windows, image_sizes):
        kept = scores > 0
        boxes = ops.take(all_windows(windows), ops.cast(indices, "int32"), axis=0)
        boxes = ops.where(kept[..., None], boxes, 0.0)
        masks = ops.sigmoid(scores_and_masks(predictions)[1])
        masks = ops.where(kept[..., None, None], masks, 0.0)
        around = self._boxes_around(masks, boxes)
        return {
            "boxes": clip_boxes(around, ops.cast(image_sizes, "float32")),
            "labels": ops.where(kept, 0, -1),
            "scores": scores,
            "num_detections": ops.sum(ops.cast(kept, "int32"), axis=1),
            "masks": masks,
            "mask_windows": boxes,
        }

    def compute_output_spec(self, indices, scores, predictions, windows, image_sizes):
        side = math.isqrt(predictions.shape[-1] - 1)
        return {
            **detections_spec(*scores.shape),
            "masks": KerasTensor((*scores.shape, side, side), "float32"),
            "mask_windows": KerasTensor((*scores.shape, 4), "float32"),
        }

    def get_config(self):
        return {**super().get_config(), "mask_threshold": self.mask_threshold}

    def _boxes_around(self, masks, windows):
        """Returns the boxes around the covered cells, float32 (B, D, 4)."""
        covered = masks >= self.mask_threshold
        x1, y1, x2, y2 = split_boxes(windows)
        top, bottom = _extent(ops.any(covered, axis=3), y1, y2)
        left, right = _extent(ops.any(covered, axis=2), x1, x2)
        around = ops.stack([left, top, right, bottom], axis=-1)
        return ops.where(ops.any(covered, axis=(2, 3))[..., None], around, windows)


def all_windows(windows):
    """Returns the windows of all levels, float32 (N, 4)."""
    return ops.concatenate([windows[n] for n in ordered_names(windows)], axis=0)


def centered_inside(windows, image_sizes):
    """Returns which windows are centered in an image, not in its padding, bool (B, N).

    Args:
        windows: float32 (N, 4), xyxy, input-image pixels.
        image_sizes: float (B, 2), height and width without the padding, pixels.
    """
    x1, y1, x2, y2 = split_boxes(windows)
    sizes = ops.cast(image_sizes, "float32")
    inside = (y1 + y2) / 2 < sizes[:, :1]
    return ops.logical_and(inside, (x1 + x2) / 2 < sizes[:, 1:])


def _extent(covered, low, high):
    """Returns the edges of the first and the last covered cell, along one axis."""
    cells = covered.shape[-1]
    covered = ops.cast(covered, "int32")
    first = ops.cast(ops.argmax(covered, axis=-1), "float32")
    last = cells - ops.cast(ops.argmax(ops.flip(covered, -1), axis=-1), "float32")
    side = (high - low) / cells
    return low + first * side, low + last * side
