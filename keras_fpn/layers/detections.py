"""Turns the box head's predictions into the final boxes."""

import keras
from keras import KerasTensor, ops

from keras_fpn.box_coder import BoxCoder, with_coder
from keras_fpn.boxes import box_sides, clip_boxes
from keras_fpn.config import arguments_of
from keras_fpn.ops.nms import grouped_nms

MIN_SIDE = 1e-2  # pixels; narrower boxes are dropped, as in torchvision

# Deltas of RoIs are small. These weights, of Girshick's 2015 code, scale them to a
# variance of about 1.
ROI_CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))


class ResultLimits(keras.layers.Layer):
    """A layer whose results are limited by their score and their number.

    Boxes and probabilities are float32 under every dtype policy.

    Args:
        score_threshold: float, 0..1; only results with a score above it are kept.
        max_detections: int, D, maximum number of results per image.
    """

    def __init__(
        self, score_threshold: float = 0.0, max_detections: int = 1000, **kwargs
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.score_threshold = score_threshold
        self.max_detections = max_detections

    def limits(self, score_threshold: float | None, max_detections: int | None):
        """Returns both limits of a call, the layer's own where it has none."""
        return (
            self.score_threshold if score_threshold is None else score_threshold,
            self.max_detections if max_detections is None else max_detections,
        )

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, ResultLimits)}


@keras.saving.register_keras_serializable(package="keras_fpn")
class Detections(ResultLimits):
    """Decodes the boxes of every RoI and class, and keeps the best ones.

    All R * K candidates above the score threshold take part in non-maximum suppression
    (NMS), which is done within each class.

    Source: Girshick 2015 (arXiv:1504.08083), Sec. 2.2; the order of the steps is
    torchvision's.

    Args:
        score_threshold: float, 0..1; only boxes with a score above it are kept.
        nms_threshold: float, 0..1. Of two boxes of a class whose IoU is above it, the
            one with the lower score is dropped.
        max_detections: int, D, maximum number of detections per image.
        coder: `BoxCoder` that decodes the deltas.

    Call arguments:
        class_logits: float (B, R, K + 1), background last.
        box_deltas: float (B, R, K, 4), or (B, R, 1, 4) if all classes share one box.
        rois: float (B, R, 4), xyxy, input-image pixels; empty boxes are padding.
        image_sizes: float (B, 2), height and width without the padding, pixels.
        score_threshold, max_detections: replace the layer's own values in this call. A
            subclass that overrides `call` must accept both.

    Returns:
        dict with "boxes" float32 (B, D, 4), xyxy, input-image pixels, sorted by score,
        highest first, padded with 0; "labels" int32 (B, D), 0..K-1, padded with -1;
        "scores" float32 (B, D), 0..1, padded with 0; "num_detections" int32 (B,).
    """

    def __init__(
        self,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
        coder: BoxCoder = ROI_CODER,
        **kwargs,
    ):
        super().__init__(score_threshold, max_detections, **kwargs)
        self.nms_threshold = nms_threshold
        self.coder = coder

    def call(
        self,
        class_logits,
        box_deltas,
        rois,
        image_sizes,
        score_threshold=None,
        max_detections=None,
    ):
        threshold, limit = self.limits(score_threshold, max_detections)
        scores = ops.softmax(ops.cast(class_logits, "float32"), axis=-1)[..., :-1]
        boxes = self.coder.decode(
            ops.cast(box_deltas, "float32"),
            ops.expand_dims(ops.cast(rois, "float32"), 2),
        )
        boxes = clip_boxes(boxes, ops.cast(image_sizes, "float32"))
        width, height = box_sides(boxes)
        kept = ops.minimum(width, height) >= MIN_SIDE
        kept = ops.logical_and(kept, scores > threshold)
        scores = ops.where(kept, scores, 0.0)
        # The probabilities of a RoI sum to 1, so at most 1 / threshold exceed it.
        most = int(1 / threshold) if threshold > 0 else None
        kept = grouped_nms(boxes, scores, self.nms_threshold, limit, most)
        return {
            "boxes": kept.boxes,
            "labels": kept.groups,
            "scores": kept.scores,
            "num_detections": kept.count,
        }

    def compute_output_spec(
        self,
        class_logits,
        box_deltas,
        rois,
        image_sizes,
        score_threshold=None,
        max_detections=None,
    ):
        return detections_spec(rois.shape[0], max_detections or self.max_detections)

    def get_config(self):
        return {
            **super().get_config(),
            "nms_threshold": self.nms_threshold,
            "coder": keras.saving.serialize_keras_object(self.coder),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**with_coder(config))


def detections_spec(batch: int | None, rows: int):
    """Returns the shapes and dtypes of detections, dict of `KerasTensor`.

    Args:
        batch: B, or None.
        rows: D, detections per image.
    """
    shape = (batch, rows)
    return {
        "boxes": KerasTensor((*shape, 4), "float32"),
        "labels": KerasTensor(shape, "int32"),
        "scores": KerasTensor(shape, "float32"),
        "num_detections": KerasTensor(shape[:1], "int32"),
    }
