"""The classes of an image's pixels, from the small logits of a semantic head."""

import tensorflow as tf

from keras_fpn.layers.semantic_head import STRIDE
from keras_fpn.ops.bilinear_resize_tensorflow import bilinear_resize_tensorflow

UNLABELLED = 255  # in the padding of an image


def image_map(logits, sizes):
    """Returns the classes of the pixels of padded images, uint8 (B, H, W).

    Args:
        logits: float32 (B, h, w, C), of stride 4.
        sizes: float32 (B, 2), height and width without the padding, pixels; 0 if there
            is no image.
    """
    height, width = tf.unstack(STRIDE * tf.shape(logits)[1:3])

    def of_image(logits):
        pixels = bilinear_resize_tensorflow(logits[None], height, width)[0]
        return tf.cast(tf.argmax(pixels, axis=2, output_type=tf.int32), tf.uint8)

    # One by one: the logits of the pixels of one image of 800x1344 are 232 MB.
    found = tf.map_fn(
        of_image, logits, fn_output_signature=tf.uint8, parallel_iterations=1
    )
    rows = tf.sequence_mask(tf.cast(sizes[:, 0], tf.int32), height)
    columns = tf.sequence_mask(tf.cast(sizes[:, 1], tf.int32), width)
    inside = tf.logical_and(rows[:, :, None], columns[:, None, :])
    return tf.where(inside, found, tf.constant(UNLABELLED, tf.uint8))
