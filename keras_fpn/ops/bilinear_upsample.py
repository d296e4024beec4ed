"""Bilinear upsampling by a whole factor, at once or one phase at a time.

Upsampling by f puts f new cells in the place of each cell, along either axis. All new
cells at the same place within their old one are a phase: the same weighted sum of the
old cell and a neighbor.
"""

import numpy as np
from keras import ops

from keras_fpn.ops.kernels import native_kernels_run


def bilinear_upsample(inputs, factor: int):
    """Returns maps upsampled bilinearly along both axes.

    It equals `bilinear_resize` to `factor` times the size, by TensorFlow's kernel or in
    elementwise operations.

    Args:
        inputs: float (B, h, w, C).
        factor: int.

    Returns:
        float (B, factor * h, factor * w, C), the dtype of the inputs.
    """
    if native_kernels_run():
        from keras_fpn.ops.bilinear_resize_tensorflow import bilinear_resize_tensorflow

        height, width = ops.shape(inputs)[1:3]
        return bilinear_resize_tensorflow(inputs, factor * height, factor * width)
    return bilinear_upsample_portable(inputs, factor)


def bilinear_upsample_portable(inputs, factor: int):
    """`bilinear_upsample` in `keras.ops` alone."""
    for axis in (1, 2):
        shape = list(ops.shape(inputs))
        shape[axis] = shape[axis] * factor
        phases = phases_along(inputs, factor, axis)
        inputs = ops.reshape(ops.stack(phases, axis=axis + 1), shape)
    return inputs


def phases_along(inputs, factor: int, axis: int):
    """Returns the phases of upsampling along one axis, list of `factor` tensors.

    Each has the shape of the inputs. Beyond the border its cells are repeated.

    Args:
        inputs: float (B, h, w, C).
        factor: int.
        axis: 1 or 2.
    """
    first, rest, last, others = _ends(inputs, axis)
    previous = ops.concatenate([first, others], axis=axis)
    following = ops.concatenate([rest, last], axis=axis)
    return [
        inputs * (1.0 - abs(offset))
        + (previous if offset < 0 else following) * abs(offset)
        for offset in _offsets(factor)
    ]


def shares(factor: int):
    """Returns what new cells take from old ones, float32 (factor, 3).

    Columns are the previous, the own and the next old cell, along one axis.
    """
    offsets = np.array(_offsets(factor), np.float32)
    previous, following = np.maximum(-offsets, 0), np.maximum(offsets, 0)
    return np.stack([previous, 1 - previous - following, following], axis=1)


def phase_along(inputs, share, axis: int):
    """Returns one of `phases_along`, which a number that is not known yet may choose.

    Args:
        inputs: float (B, h, w, C).
        share: (3,), a row of `shares`.
        axis: 1 or 2.
    """
    first, rest, last, others = _ends(inputs, axis)
    previous = ops.concatenate([first, others], axis=axis)
    following = ops.concatenate([rest, last], axis=axis)
    return share[0] * previous + share[1] * inputs + share[2] * following


def phase_gradient(upstream, share, axis: int):
    """Returns the gradient of `phase_along` with respect to its inputs.

    Args:
        upstream: float (B, h, w, C), the gradient of the phase.
        share, axis: as of `phase_along`.
    """
    first, rest, last, others = _ends(upstream, axis)
    # Each cell is the previous one of the next cell; that of the border is its own.
    previous = ops.concatenate([rest, ops.zeros_like(last)], axis=axis)
    previous = previous + ops.concatenate([first, ops.zeros_like(rest)], axis=axis)
    following = ops.concatenate([ops.zeros_like(first), others], axis=axis)
    following = following + ops.concatenate([ops.zeros_like(others), last], axis=axis)
    return share[0] * previous + share[1] * upstream + share[2] * following


def _offsets(factor):
    """Returns where the centers of new cells are from that of the old, in its sizes."""
    return [(number + 0.5) / factor - 0.5 for number in range(factor)]


def _ends(inputs, axis):
    """Returns the first cells along an axis, all others, the last, and all others."""
    leading = (slice(None),) * axis
    return tuple(
        inputs[(*leading, part)]
        for part in (slice(1), slice(1, None), slice(-1, None), slice(-1))
    )
