"""`grouped_nms` by TensorFlow's own kernel, which processes all groups in parallel."""

import tensorflow as tf

from keras_fpn.ops.nms import KeptBoxes


def grouped_nms_tensorflow(boxes, scores, iou_threshold, max_outputs):
    """`grouped_nms`; boxes may be xyxy, because swapping the axes keeps the IoU."""
    kept_boxes, kept_scores, groups, count = tf.image.combined_non_max_suppression(
        boxes,
        scores,
        max_output_size_per_class=max_outputs,
        max_total_size=max_outputs,
        iou_threshold=iou_threshold,
        score_threshold=0.0,
        clip_boxes=False,
    )
    # The kernel's groups after the last kept box have no meaning.
    filled = tf.sequence_mask(count, max_outputs)
    groups = tf.where(filled, tf.cast(groups, tf.int32), -1)
    indices = _rows_of(kept_boxes, kept_scores, groups, boxes, scores)
    return KeptBoxes(kept_boxes, kept_scores, groups, count, indices)


def _rows_of(kept_boxes, kept_scores, groups, boxes, scores):
    """Returns the candidates' rows, int32 (B, M), which the kernel does not return.

    They are found by group, score and box. In a graph that does not use them this does
    not run; eagerly it does.
    """
    filled = groups >= 0
    groups = tf.maximum(groups, 0)
    # One more row, which is no candidate, because there is no best of no rows.
    scores = tf.transpose(tf.pad(scores, [[0, 0], [0, 1], [0, 0]]), [0, 2, 1])
    boxes = tf.pad(boxes, [[0, 0], [0, 1], [0, 0], [0, 0]])
    boxes = tf.transpose(boxes, [0, 2, 1, 3])
    if boxes.shape[1] != 1:
        boxes = tf.gather(boxes, groups, batch_dims=1)  # (B, M, N, 4)
    scores = tf.gather(scores, groups, batch_dims=1)  # (B, M, N)
    equal = tf.reduce_all(boxes == kept_boxes[:, :, None], axis=-1)
    equal = tf.logical_and(equal, scores == kept_scores[..., None])
    _, rows = tf.math.top_k(tf.cast(equal, tf.int32), 1)  # (B, M, 1)
    return tf.where(filled, rows[..., 0], 0)
