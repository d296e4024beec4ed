"""The classes of an image's pixels, from the small logits of a semantic head."""

import tensorflow as tf

from keras_fpn.layers.semantic_head import STRIDE
from keras_fpn.ops.bilinear_upsample import phases_along

UNLABELLED = 255  # in the padding of an image


def image_map(logits, sizes):
    """Returns the classes of the pixels of padded images, uint8 (B, H, W).

    Args:
        logits: float32 (B, h, w, C), of stride 4.
        sizes: float32 (B, 2), height and width without the padding, pixels; 0 if there
            is no image.
    """
    # Phase by phase: the logits of all pixels would need 16 times the memory.
    phases = [
        [
            tf.cast(tf.argmax(phase, axis=3, output_type=tf.int32), tf.uint8)
            for phase in phases_along(rows, STRIDE, 2)
        ]
        for rows in phases_along(logits, STRIDE, 1)
    ]
    shape = STRIDE * tf.shape(logits)[1:3]
    found = tf.stack([tf.stack(row, axis=3) for row in phases], axis=2)
    found = tf.reshape(found, (-1, shape[0], shape[1]))
    rows = tf.sequence_mask(tf.cast(sizes[:, 0], tf.int32), shape[0])
    columns = tf.sequence_mask(tf.cast(sizes[:, 1], tf.int32), shape[1])
    inside = tf.logical_and(rows[:, :, None], columns[:, None, :])
    return tf.where(inside, found, tf.constant(UNLABELLED, tf.uint8))
