"""What a deformable convolution needs of TensorFlow: its crop kernel and its loop.

A box of one cell is a bilinear sample. The kernel's own gradient is never used: for
offsets that lead to whole cells it is 0, and training starts with offsets of 0.
"""

import tensorflow as tf

from keras_fpn.ops.deform_points import Geometry, by_point, points


def read_by_crops(inputs, geometry: Geometry):
    """Returns the same function as `keras_fpn.ops.deform_conv.read_by_gathers`."""
    batch, height, width, _ = tf.unstack(tf.shape(inputs))
    groups = geometry.deformable_groups
    channels = inputs.shape[3] // groups
    maps = tf.cast(inputs, tf.float32)
    maps = tf.reshape(maps, (batch, height, width, groups, channels))
    maps = tf.reshape(
        tf.transpose(maps, (0, 3, 1, 2, 4)), (-1, height, width, channels)
    )
    maps = tf.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # crop_and_resize takes 0..1 for the first to the last row of the padded map.
    rows, columns = (tf.cast(size + 1, tf.float32) for size in (height, width))

    def read(numbers, offsets, mask):
        y, x, image = points(numbers, offsets, geometry)
        map_of_point = image[:, None, None] * groups + tf.range(groups)
        map_of_point = tf.broadcast_to(map_of_point, tf.shape(y))
        y, x = (y + 1.0) / rows, (x + 1.0) / columns
        boxes = tf.reshape(tf.stack([y, x, y, x], axis=-1), (-1, 4))
        indices = tf.reshape(map_of_point, [-1])
        values = tf.image.crop_and_resize(maps, boxes, indices, (1, 1))
        values = tf.reshape(values, (-1, *y.shape[1:], channels))
        return tf.cast(values * by_point(mask, geometry)[..., None], inputs.dtype)

    return read


def loop_in_turn(lower, upper, body, initial):
    """Returns `keras.ops.fori_loop`, with one iteration at a time.

    By default TensorFlow prepares ten at a time, with the memory for all of them.
    """
    _, values = tf.while_loop(
        lambda number, values: number < upper,
        lambda number, values: (number + 1, body(number, values)),
        (lower, initial),
        parallel_iterations=1,
    )
    return values
