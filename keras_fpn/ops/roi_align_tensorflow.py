"""`roi_align` by TensorFlow's crop kernel, which reads each box's own map only.

`tf.image.crop_and_resize` is not RoIAlign: it puts its samples on the box's border.
Given a box from the first sample point to the last, and an average over each bin, it
is. Points beyond the map's border need that border repeated once.
"""

import tensorflow as tf

from keras_fpn.ops.roi_align import first_points_and_steps


def roi_align_tensorflow(
    features, boxes, scales, levels, output_size, sampling_ratio, aligned
):
    """`roi_align`, one crop per map for the boxes that read it."""
    crops, places = [], []
    for level, (feature, scale) in enumerate(zip(features, scales, strict=True)):
        place = tf.where(levels == level)  # (n, 2): image, RoI
        here = tf.gather_nd(boxes, place)
        points = first_points_and_steps(
            here, scale, output_size, sampling_ratio, aligned
        )
        images = tf.cast(place[:, 0], tf.int32)
        crops.append(_crop(feature, images, points, output_size, sampling_ratio))
        places.append(place)
    crops, places = tf.concat(crops, axis=0), tf.concat(places, axis=0)
    batch, rois = tf.unstack(tf.shape(boxes)[:2])
    number = places[:, 0] * tf.cast(rois, tf.int64) + places[:, 1]
    order = tf.math.invert_permutation(tf.cast(number, tf.int32))
    crops = tf.gather(crops, order)
    shape = (output_size, output_size, features[0].shape[-1])
    crops = tf.reshape(crops, tf.concat([[batch, rois], shape], axis=0))
    crops.set_shape((*boxes.shape[:2], *shape))
    return crops


def _crop(feature, images, points, output_size, sampling_ratio):
    """Returns (n, P, P, C), the averages over the bins of n boxes on one map."""
    y, x, step_y, step_x = points
    count = output_size * sampling_ratio
    feature32 = tf.cast(feature, tf.float32)
    padded = tf.pad(feature32, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    # crop_and_resize wants 0..1 from the first to the last row of the padded map.
    rows, columns = tf.unstack(tf.cast(tf.shape(padded)[1:3] - 1, tf.float32))
    corners = tf.stack(
        [
            (y + 1.0) / rows,
            (x + 1.0) / columns,
            (y + 1.0 + (count - 1) * step_y) / rows,
            (x + 1.0 + (count - 1) * step_x) / columns,
        ],
        axis=1,
    )
    samples = tf.image.crop_and_resize(padded, corners, images, (count, count))
    bins = tf.nn.avg_pool2d(samples, sampling_ratio, sampling_ratio, "VALID")
    return tf.cast(bins, feature.dtype)
