"""Bilinear resizing of maps to any size, known or not when a graph is traced."""

from keras import ops

from keras_fpn.ops.kernels import native_kernels_run


def bilinear_resize(inputs, height, width):
    """Returns the maps, resized by linear interpolation along both axes.

    The value of a cell is that at its center; beyond the centers of the border cells
    their value is repeated. It equals align_corners=False without antialiasing in
    PyTorch.

    Args:
        inputs: float (B, h, w, C).
        height, width: int, or int tensor of shape ().

    Returns:
        float (B, height, width, C), the dtype of the inputs.
    """
    if native_kernels_run():
        from keras_fpn.ops.bilinear_resize_tensorflow import bilinear_resize_tensorflow

        return bilinear_resize_tensorflow(inputs, height, width)
    return bilinear_resize_portable(inputs, height, width)


def bilinear_resize_portable(inputs, height, width):
    """`bilinear_resize` in `keras.ops` alone: a matrix product for each axis."""
    batch, rows, columns = ops.shape(inputs)[:3]
    channels = inputs.shape[3]
    vertical = ops.cast(_shares(height, rows), inputs.dtype)
    horizontal = ops.cast(_shares(width, columns), inputs.dtype)
    resized = ops.reshape(inputs, (batch, rows, columns * channels))
    resized = ops.matmul(vertical, resized)
    resized = ops.reshape(resized, (batch, height, columns, channels))
    return ops.matmul(horizontal, resized)


def _shares(size, cells):
    """Returns the share of each cell in each new one, float32 (size, cells)."""
    scale = ops.cast(cells, "float32") / ops.cast(size, "float32")
    centers = (ops.arange(size, dtype="float32") + 0.5) * scale - 0.5
    centers = ops.clip(centers, 0.0, ops.cast(cells, "float32") - 1.0)
    distance = ops.abs(centers[:, None] - ops.arange(cells, dtype="float32"))
    return ops.maximum(1.0 - distance, 0.0)
