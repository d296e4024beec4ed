"""Proposals that come with the photos of a request, in a TensorFlow graph."""

import tensorflow as tf

SPEC = tf.TensorSpec((None, None, 4), tf.float32, "proposals")


def checked_count(proposals, count):
    """Returns proposals, float32 (B, R, 4); it fails unless B is the number of photos.

    Args:
        proposals: float32 (B, R, 4).
        count: int32 (), the number of photos in the request.
    """
    same = tf.equal(tf.shape(proposals)[0], count)
    text = "There must be proposals for each photo; received these numbers of them:"
    check = tf.Assert(same, [text, tf.shape(proposals)[0], count])
    with tf.control_dependencies([check]):
        return tf.identity(proposals)


def in_images(proposals, sizes, resized):
    """Returns proposals in pixels of the resized photos.

    What is no box within its photo becomes empty, which is padding: an error would end
    the requests of other clients in the batch, too.

    Args:
        proposals: float32 (B, R, 4), xyxy, pixels of the photos.
        sizes, resized: float32 (B, 2), height and width of the photos, and after
            resizing; 0 for a photo that could not be read.

    Returns:
        float32 (B, R, 4), xyxy.
    """
    scale = tf.math.divide_no_nan(resized, sizes)
    boxes = proposals * tf.tile(scale[:, ::-1], (1, 2))[:, None]
    boxes = tf.clip_by_value(boxes, 0.0, tf.tile(resized[:, ::-1], (1, 2))[:, None])
    # A comparison with NaN is false.
    there = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1, keepdims=True)
    return tf.where(there, boxes, 0.0)
