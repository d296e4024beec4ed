"""The gradient of adaptive `roi_align` on TensorFlow without XLA.

There a loop that adds to the cells of the maps would copy them in every round. The
features of an image are W f, where f are its cells and W holds the weight of each cell
in each bin, so the gradient is W^T u, a product with a sparse matrix. Shapes may depend
on values here: W has no more entries than the bins read cells.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_fpn.ops.roi_align_adaptive import Axis, BoxCells, cell_weights
from keras_fpn.ops.roi_maps import cell_count, maps_of_cells


def spread_tensorflow(upstream, features, read: BoxCells):
    """Returns the gradients of the maps, list of tensors like `features`.

    Args:
        upstream: float (B, R, P, P, C), the gradient of the boxes' features.
        features: list of maps.
        read: `BoxCells` of shape (B, R).
    """
    output_size = upstream.shape[3]
    cells_per_image = cell_count(features)

    def weights_of_image(image):
        here = tf.nest.map_structure(lambda value: value[image], read)
        return _weights_of_image(here, output_size, image, cells_per_image)

    return spread_by_weights(upstream, features, weights_of_image)


def spread_by_weights(upstream, features, weights_of_image: Callable):
    """Returns the gradients of the maps, list of tensors like `features`.

    Images are processed in parallel.

    Args:
        upstream: float (B, R, P, P, C), the gradient of the boxes' features.
        features: list of maps.
        weights_of_image: function of an image, 0..B-1, that returns `tf.SparseTensor`
            (R * P * P, cells), the weight of each cell in each bin.
    """
    channels = upstream.shape[-1]

    def of_image(image):
        gradient = tf.reshape(tf.cast(upstream[image], tf.float32), [-1, channels])
        weights = weights_of_image(image)
        return tf.sparse.sparse_dense_matmul(weights, gradient, adjoint_a=True)

    # TensorFlow's kernel on a GPU takes fewer than 2^31 weights times channels, which
    # all images together may exceed.
    images = tf.range(tf.shape(upstream)[0])
    cells = tf.map_fn(of_image, images, fn_output_signature=tf.float32)
    return maps_of_cells(cells, features)


def _weights_of_image(read: BoxCells, output_size, image, cells_per_image):
    """Returns the weights of an image's cells, `tf.SparseTensor` (R * P * P, cells).

    Args:
        read: `BoxCells` of shape (R,).
        image: int, 0..B-1.
        cells_per_image: int.
    """
    rows, rows_of_box, first_row = _lines(read.rows, output_size)
    columns, columns_of_box, first_column = _lines(read.columns, output_size)
    box, place = _within_boxes(rows_of_box * columns_of_box)
    across = tf.gather(columns_of_box, box)
    row = tf.gather(first_row, box) + place // across
    column = tf.gather(first_column, box) + place % across
    bin_row, line, down = (tf.gather(value, row) for value in rows)
    bin_column, along_line, along = (tf.gather(value, column) for value in columns)
    bins = (box * output_size + bin_row) * output_size + bin_column
    cells = tf.gather(read.first_cell - image * cells_per_image, box)
    cells += line * tf.gather(read.columns.size, box) + along_line
    size = tf.size(read.first_cell) * output_size**2, cells_per_image
    return tf.SparseTensor(
        tf.cast(tf.stack([bins, cells], axis=1), tf.int64),
        down * along,
        tf.cast(tf.stack(size), tf.int64),
    )


def _lines(axis: Axis, output_size):
    """Returns the rows (or columns) that the bins of all boxes read, one after another.

    Returns:
        lines: bin int32, 0..P-1; cell int32; weight float32, each (n,).
        count: int32 (R,), lines of each box.
        first: int32 (R,), index of the box's first line.
    """
    count = axis.count * output_size
    box, place = _within_boxes(count)
    per_bin = tf.gather(axis.count, box)
    place_of_bin = box * output_size + place // per_bin
    cell = tf.gather(tf.reshape(axis.begin, [-1]), place_of_bin) + place % per_bin
    size = tf.gather(axis.size, box)
    weight = cell_weights(
        tf.gather(tf.reshape(axis.first, [-1]), place_of_bin),
        tf.gather(axis.step, box),
        tf.gather(axis.samples, box),
        tf.cast(size, tf.float32),
        tf.cast(cell, tf.float32),
    )
    # A cell beyond the map has weight 0: another one may be read instead of it.
    lines = place // per_bin, tf.minimum(cell, size - 1), weight
    return lines, count, tf.cumsum(count, exclusive=True)


def _within_boxes(count):
    """Returns (box, place): 0, 0; 0, 1; .. `count[0]` times, then 1, 0; and so on."""
    box = tf.repeat(tf.range(tf.size(count)), count)
    first = tf.gather(tf.cumsum(count, exclusive=True), box)
    return box, tf.range(tf.size(box)) - first
