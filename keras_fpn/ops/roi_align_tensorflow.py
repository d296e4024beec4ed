"""`roi_align` by TensorFlow's crop kernel, which reads only the map of each box.

`tf.image.crop_and_resize` alone is not RoIAlign, because its outermost samples are on
the box's border. It becomes RoIAlign with a box from the first sample point to the
last and an average over each bin. For points beyond the map's border, the border is
repeated once.

The kernel's own gradient on a CPU adds to cells from several threads without locks,
which loses some of the sums. So the gradient here is a product with a sparse matrix.
"""

import tensorflow as tf

from keras_fpn.ops.roi_align import (
    SamplePoints,
    cells_and_weights,
    first_points_and_steps,
    sample_points,
)
from keras_fpn.ops.roi_align_adaptive import roi_align_adaptive
from keras_fpn.ops.roi_align_adaptive_tensorflow import (
    spread_by_weights,
    spread_tensorflow,
)
from keras_fpn.ops.roi_maps import cell_count


def roi_align_tensorflow(
    features, boxes, scales, levels, output_size, sampling_ratio, aligned
):
    """`roi_align` with samples from the crop kernel.

    Adaptive samples are not: they have no common number.
    """
    if sampling_ratio == 0:
        return roi_align_adaptive(
            features, boxes, scales, levels, output_size, aligned, spread_tensorflow
        )
    settings = (boxes, scales, levels, output_size, sampling_ratio, aligned)

    @tf.custom_gradient
    def align(*features):
        def gradient(upstream):
            points = sample_points(features, *settings)
            return _spread(upstream, features, points, output_size, sampling_ratio)

        return _crop_levels(features, *settings), gradient

    return align(*features)


def _spread(upstream, features, points, output_size, sampling_ratio):
    """Returns the gradients of the maps, from those of the boxes' features.

    The features of an image are W f, where f (S, C) are its cells, and W is sparse with
    4 * `sampling_ratio`^2 weights per bin; the gradient is W^T u. Apart from the result
    only W takes memory, 24 bytes per weight.
    """
    count = cell_count(features)

    def weights_of_image(image):
        here = SamplePoints(*(value[image] for value in points))
        found = cells_and_weights(here, output_size, sampling_ratio)
        cells, weights = (tf.stack(part, axis=-1) for part in zip(*found, strict=True))
        per_bin = cells.shape[-1]
        bins = tf.size(cells) // per_bin
        bin_of_weight = tf.repeat(tf.range(bins), per_bin)
        cell_of_weight = tf.reshape(cells, [-1]) - image * count
        return tf.SparseTensor(
            tf.cast(tf.stack([bin_of_weight, cell_of_weight], axis=1), tf.int64),
            tf.reshape(weights, [-1]),
            tf.cast(tf.stack([bins, count]), tf.int64),
        )

    return spread_by_weights(upstream, features, weights_of_image)


def _crop_levels(features, boxes, scales, levels, output_size, sampling_ratio, aligned):
    """Returns the features of all boxes, (B, R, P, P, C), from one crop per map."""
    crops, read_by = [], []
    for level, (feature, scale) in enumerate(zip(features, scales, strict=True)):
        indices = tf.where(levels == level)  # (n, 2): image, RoI
        here = tf.gather_nd(boxes, indices)
        points = first_points_and_steps(
            here, scale, output_size, sampling_ratio, aligned
        )
        images = tf.cast(indices[:, 0], tf.int32)
        crops.append(_crop(feature, images, points, output_size, sampling_ratio))
        read_by.append(indices)
    crops, indices = tf.concat(crops, axis=0), tf.concat(read_by, axis=0)
    batch, rois = tf.unstack(tf.shape(boxes)[:2])
    number = indices[:, 0] * tf.cast(rois, tf.int64) + indices[:, 1]
    order = tf.math.invert_permutation(tf.cast(number, tf.int32))
    crops = tf.gather(crops, order)
    shape = (output_size, output_size, features[0].shape[-1])
    crops = tf.reshape(crops, tf.concat([[batch, rois], shape], axis=0))
    crops.set_shape((*boxes.shape[:2], *shape))
    return crops


def _crop(feature, images, points, output_size, sampling_ratio):
    """Returns the averages over the bins of n boxes on one map, (n, P, P, C)."""
    y, x, step_y, step_x = points
    count = output_size * sampling_ratio
    feature32 = tf.cast(feature, tf.float32)
    padded = tf.pad(feature32, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    # crop_and_resize takes 0..1 for the first to the last row of the padded map.
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
