"""Turns the RPN's predictions into proposals."""

import keras
from keras import KerasTensor, ops

from keras_fpn.box_coder import BoxCoder, with_coder
from keras_fpn.boxes import box_sides, clip_boxes, take_rows
from keras_fpn.config import arguments_of
from keras_fpn.levels import ordered_names
from keras_fpn.ops.nms import grouped_nms
from keras_fpn.ops.top_k import top_k_padded

MIN_SIDE = 1e-3  # pixels; narrower boxes are dropped, as in torchvision

RPN_CODER = BoxCoder()


@keras.saving.register_keras_serializable(package="keras_fpn")
class Proposals(keras.layers.Layer):
    """Decodes the best anchors of each level and removes duplicates.

    On each level, the anchors with the `pre_nms_top_k` highest logits are decoded and
    clipped to the image. Empty boxes and those below the score threshold are dropped.
    Non-maximum suppression (NMS) is done within each level, and the best
    `post_nms_top_k` boxes of all levels are kept.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.3, per level as in Lin et al.
    2017 (arXiv:1612.03144), Sec. 4.1; the order of the steps is torchvision's.

    Args:
        pre_nms_top_k: int, anchors per level that are decoded.
        post_nms_top_k: int, R, proposals per image.
        training_pre_nms_top_k, training_post_nms_top_k: int, the same for training.
        nms_threshold: float, 0..1. Of two boxes of a level whose IoU is above it, the
            one with the lower score is dropped.
        score_threshold: float, 0..1; boxes with a score below it are dropped.
        coder: `BoxCoder` that decodes the deltas.

    Call arguments:
        anchors: dict "P<l>" -> float (N_l, 4), xyxy, input-image pixels.
        objectness: dict "P<l>" -> float (B, N_l), logits.
        deltas: dict "P<l>" -> float (B, N_l, 4).
        image_sizes: float (B, 2), height and width without the padding, pixels.
        training: bool.

    Returns:
        rois: float32 (B, R, 4), xyxy, input-image pixels, sorted by score, highest
            first; padded with empty boxes (0, 0, 0, 0), which `Detections` drops.
        roi_scores: float32 (B, R), objectness, 0..1, padded with 0.
    """

    def __init__(
        self,
        pre_nms_top_k: int = 1000,
        post_nms_top_k: int = 1000,
        training_pre_nms_top_k: int = 2000,
        training_post_nms_top_k: int = 2000,
        nms_threshold: float = 0.7,
        score_threshold: float = 0.0,
        coder: BoxCoder = RPN_CODER,
        **kwargs,
    ):
        # Boxes are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.pre_nms_top_k = pre_nms_top_k
        self.post_nms_top_k = post_nms_top_k
        self.training_pre_nms_top_k = training_pre_nms_top_k
        self.training_post_nms_top_k = training_post_nms_top_k
        self.nms_threshold = nms_threshold
        self.score_threshold = score_threshold
        self.coder = coder

    def call(self, anchors, objectness, deltas, image_sizes, training=False):
        pre = self.training_pre_nms_top_k if training else self.pre_nms_top_k
        post = self.training_post_nms_top_k if training else self.post_nms_top_k
        boxes, scores = [], []
        for name in ordered_names(anchors):
            logits = ops.cast(objectness[name], "float32")
            logits, best = top_k_padded(logits, pre)
            best_anchors = ops.take(anchors[name], best, axis=0)
            best_deltas = take_rows(ops.cast(deltas[name], "float32"), best)
            boxes.append(self.coder.decode(best_deltas, best_anchors))
            scores.append(ops.sigmoid(logits))
        boxes = ops.stack(boxes, axis=2)  # (B, pre, levels, 4)
        scores = ops.stack(scores, axis=2)  # (B, pre, levels)
        boxes = clip_boxes(boxes, ops.cast(image_sizes, "float32"))
        width, height = box_sides(boxes)
        kept = ops.minimum(width, height) >= MIN_SIDE
        kept = ops.logical_and(kept, scores >= self.score_threshold)
        scores = ops.where(kept, scores, 0.0)
        # Approximate joint training (Ren et al. 2015, Sec. 3.2): the second stage sends
        # no gradient through the coordinates of the proposals.
        boxes, scores = ops.stop_gradient(boxes), ops.stop_gradient(scores)
        kept = grouped_nms(boxes, scores, self.nms_threshold, post)
        return kept.boxes, kept.scores

    def compute_output_spec(
        self, anchors, objectness, deltas, image_sizes, training=False
    ):
        post = self.training_post_nms_top_k if training else self.post_nms_top_k
        batch = image_sizes.shape[0]
        rois = KerasTensor((batch, post, 4), "float32")
        return rois, KerasTensor((batch, post), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            **arguments_of(self, Proposals),
            "coder": keras.saving.serialize_keras_object(self.coder),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**with_coder(config))
