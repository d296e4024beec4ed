"""Greedy non-maximum suppression within groups of boxes, exact, over all candidates.

A group is whatever must not suppress another: a class for detections, a pyramid level
for proposals.
"""

import keras
from keras import ops

from keras_fpn.boxes import box_iou


def grouped_nms(boxes, scores, iou_threshold, max_outputs):
    """Keeps the best boxes, dropping those that overlap a better one of their group.

    The result is that of suppression within every group over all its candidates,
    followed by taking the best `max_outputs` of all groups: no candidate is left out
    beforehand. A box is dropped where its IoU with a kept one is above (not equal to)
    the threshold. Equal scores: which one is kept first is not specified.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.3; torchvision's batched_nms.

    Args:
        boxes: float32 (B, N, Q, 4), xyxy; Q = G, or 1 where all groups share the boxes.
        scores: float32 (B, N, G), probabilities; 0 marks what is no candidate.
        iou_threshold: float, 0..1.
        max_outputs: int, M, boxes kept per image at the most.

    Returns:
        boxes: float32 (B, M, 4), best first, zeros after the last kept one.
        scores: float32 (B, M), zeros after the last kept one.
        groups: int32 (B, M), 0..G-1, -1 after the last kept one.
        count: int32 (B,), how many were kept.
    """
    if keras.backend.backend() == "tensorflow":
        from keras_fpn.ops.nms_tensorflow import grouped_nms_tensorflow as suppress
    else:
        suppress = grouped_nms_portable
    return suppress(boxes, scores, iou_threshold, max_outputs)


def nms_supports_jit():
    """Returns whether XLA can compile `grouped_nms`; layers with it must tell Keras.

    TensorFlow's kernel has no form for XLA, by which Keras compiles what is trained on
    one accelerator unless a layer says that it cannot be.
    """
    return keras.backend.backend() != "tensorflow"


def grouped_nms_portable(boxes, scores, iou_threshold, max_outputs):
    """`grouped_nms` in `keras.ops` alone: each round keeps the best box still standing.

    A round costs B * N IoUs and a maximum over B * N * G scores; there are as many
    rounds as the fullest image keeps boxes.
    """
    # One row that is no candidate: JAX finds no maximum among none.
    boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0), (0, 0)))
    scores = ops.pad(scores, ((0, 0), (0, 1), (0, 0)))
    batch, candidates, groups = ops.shape(scores)
    shared = ops.shape(boxes)[2] == 1
    boxes = ops.reshape(ops.transpose(boxes, (0, 2, 1, 3)), (batch, -1, 4))
    # (B, G, N): a group's scores lie together.
    scores = ops.transpose(scores, (0, 2, 1))
    rows = ops.arange(candidates)[None, :]
    columns = ops.arange(groups)[None, :, None]

    def standing(step, scores, *_):
        return ops.any(scores > 0)

    def keep_best(step, scores, kept_boxes, kept_scores, kept_groups):
        flat = ops.reshape(scores, (batch, -1))
        best = ops.argmax(flat, axis=1)[:, None]
        best_score = ops.take_along_axis(flat, best, axis=1)  # (B, 1)
        group = best // candidates  # (B, 1)
        start = 0 if shared else group * candidates
        row = ops.take_along_axis(boxes, (start + rows)[..., None], axis=1)
        best_row = (best % candidates)[..., None]
        best_box = ops.take_along_axis(row, best_row, axis=1)  # (B, 1, 4)
        dropped = box_iou(row, best_box) > iou_threshold
        dropped = ops.logical_or(dropped, rows == best % candidates)
        dropped = ops.logical_and(dropped[:, None], columns == group[..., None])
        here = ops.arange(max_outputs)[None, :] == step
        here = ops.logical_and(here, best_score > 0)  # (B, M)
        return (
            step + 1,
            ops.where(dropped, 0.0, scores),
            ops.where(here[..., None], best_box, kept_boxes),
            ops.where(here, best_score, kept_scores),
            ops.where(here, ops.cast(group, "int32"), kept_groups),
        )

    start = (
        0,
        scores,
        ops.zeros((batch, max_outputs, 4), boxes.dtype),
        ops.zeros((batch, max_outputs), scores.dtype),
        -ops.ones((batch, max_outputs), "int32"),
    )
    _, _, boxes, scores, groups = ops.while_loop(
        standing, keep_best, start, maximum_iterations=max_outputs
    )
    return boxes, scores, groups, ops.sum(ops.cast(groups >= 0, "int32"), axis=1)
