"""Turns the predictions of a dense head into the final boxes."""

import keras
from keras import ops

from keras_fpn.box_coder import BoxCoder, with_coder
from keras_fpn.boxes import box_areas, clip_boxes, take_rows
from keras_fpn.config import arguments_of
from keras_fpn.layers.detections import ResultLimits, detections_spec
from keras_fpn.levels import ordered_names
from keras_fpn.ops.nms import grouped_nms
from keras_fpn.ops.top_k import top_k_padded
from keras_fpn.point_coder import PointCoder

DENSE_CODER = BoxCoder(beta=0.0)


@keras.saving.register_keras_serializable(package="keras_fpn")
class DenseDetections(ResultLimits):
    """Decodes the best boxes of each level and class, and removes duplicates.

    On each level, of all pairs of an anchor and a class above the score threshold, the
    `pre_nms_top_k` best are decoded. Non-maximum suppression (NMS) is done within each
    class over all levels, and the best `max_detections` boxes are kept.

    Source: Lin et al. 2017 (arXiv:1708.02002), Sec. 4.1; the order of the steps is
    torchvision's.

    Args:
        score_threshold: float, 0..1; only boxes with a score above it are kept.
        nms_threshold: float, 0..1. Of two boxes of a class whose IoU is above it, the
            one with the lower score is dropped.
        max_detections: int, D, maximum number of detections per image.
        pre_nms_top_k: int, candidates per level that are decoded.
        coder: `BoxCoder` or `PointCoder` that decodes the deltas.
        clip_first: bool. True clips boxes to the image before NMS, as torchvision does.
            False clips the final boxes and drops those that are then empty, as
            detectron2 does, so there can be fewer.

    Call arguments:
        anchors: dict "P<l>" -> float (N_l, 4), xyxy, input-image pixels.
        logits: dict "P<l>" -> float (B, N_l, K).
        deltas: dict "P<l>" -> float (B, N_l, 4).
        image_sizes: float (B, 2), height and width without the padding, pixels.
        centerness: dict "P<l>" -> float (B, N_l), logits of a second probability; with
            it, scores are the geometric mean of both. None without.
        score_threshold, max_detections: replace the layer's own values in this call. A
            subclass that overrides `call` must accept both.

    Returns:
        dict, as returned by `Detections`.
    """

    def __init__(
        self,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 300,
        pre_nms_top_k: int = 1000,
        coder: BoxCoder | PointCoder = DENSE_CODER,
        clip_first: bool = True,
        **kwargs,
    ):
        super().__init__(score_threshold, max_detections, **kwargs)
        self.nms_threshold = nms_threshold
        self.pre_nms_top_k = pre_nms_top_k
        self.coder = coder
        self.clip_first = clip_first

    def call(
        self,
        anchors,
        logits,
        deltas,
        image_sizes,
        centerness=None,
        score_threshold=None,
        max_detections=None,
    ):
        threshold, limit = self.limits(score_threshold, max_detections)
        found = [
            self._of_level(
                anchors[name],
                logits[name],
                deltas[name],
                centerness and centerness[name],
                threshold,
            )
            for name in ordered_names(anchors)
        ]
        boxes, scores, labels = (
            ops.concatenate(parts, axis=1) for parts in zip(*found, strict=True)
        )
        image_sizes = ops.cast(image_sizes, "float32")
        if self.clip_first:
            boxes = clip_boxes(boxes, image_sizes)
        classes = next(iter(logits.values())).shape[-1]
        groups = ops.one_hot(labels, classes, dtype="float32") * scores[..., None]
        kept = grouped_nms(boxes[:, :, None], groups, self.nms_threshold, limit, 1)
        boxes, scores, labels = kept.boxes, kept.scores, kept.groups
        if not self.clip_first:
            boxes = clip_boxes(boxes, image_sizes)
            boxes, scores, labels = _without_empty(boxes, scores, labels)
        return {
            "boxes": boxes,
            "labels": labels,
            "scores": scores,
            "num_detections": ops.sum(ops.cast(scores > 0, "int32"), axis=1),
        }

    def _of_level(self, anchors, logits, deltas, centerness, threshold):
        """Returns the best boxes (B, k, 4) of a level, their scores and labels (B, k).

        Scores are 0 in places without a candidate.
        """
        k, classes = self.pre_nms_top_k, logits.shape[-1]
        # The best k pairs are pairs of the k anchors with the best best class.
        best = _scores(ops.max(logits, axis=-1), centerness)
        best, rows = top_k_padded(best, k)
        logits = take_rows(logits, rows)  # (B, k, K)
        if centerness is not None:
            centerness = ops.take_along_axis(centerness, rows, axis=1)[..., None]
        scores = _scores(logits, centerness)
        found = ops.logical_and(best[..., None] > threshold, scores > threshold)
        scores = ops.where(found, scores, 0.0)
        flat = ops.reshape(scores, (ops.shape(scores)[0], k * classes))
        scores, pairs = ops.top_k(flat, k)
        rows = ops.take_along_axis(rows, pairs // classes, axis=1)
        boxes = self.coder.decode(
            ops.cast(take_rows(deltas, rows), "float32"),
            ops.take(anchors, rows, axis=0),
        )
        return boxes, scores, ops.cast(pairs % classes, "int32")

    def compute_output_spec(
        self,
        anchors,
        logits,
        deltas,
        image_sizes,
        centerness=None,
        score_threshold=None,
        max_detections=None,
    ):
        rows = max_detections or self.max_detections
        return detections_spec(image_sizes.shape[0], rows)

    def get_config(self):
        return {
            **super().get_config(),
            **arguments_of(self, DenseDetections),
            "coder": keras.saving.serialize_keras_object(self.coder),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**with_coder(config))


def _scores(logits, centerness):
    """Returns probabilities, float32; with centerness, the geometric mean of both."""
    scores = ops.sigmoid(ops.cast(logits, "float32"))
    if centerness is None:
        return scores
    return ops.sqrt(scores * ops.sigmoid(ops.cast(centerness, "float32")))


def _without_empty(boxes, scores, labels):
    """Returns boxes, scores and labels without empty boxes, the others moved up."""
    scores = ops.where(box_areas(boxes) > 0, scores, 0.0)
    scores, order = ops.top_k(scores, scores.shape[1])
    kept = scores > 0
    boxes = ops.where(kept[..., None], take_rows(boxes, order), 0.0)
    labels = ops.where(kept, ops.take_along_axis(labels, order, axis=1), -1)
    return boxes, scores, labels
