"""Bilinear upsampling by a whole factor, at once or one phase at a time.

Upsampling by f puts f new cells in the place of each cell, along either axis. All new
cells at the same place within their old one are a phase: the same weighted sum of the
old cell and a neighbor.
"""

from keras import ops


def bilinear_upsample(inputs, factor: int):
    """Returns maps upsampled bilinearly along both axes.

    It equals `bilinear_resize` to `factor` times the size, in elementwise operations
    alone.

    Args:
        inputs: float (B, h, w, C).
        factor: int.

    Returns:
        float (B, factor * h, factor * w, C), the dtype of the inputs.
    """
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


def phases_gradient(upstreams, axis: int):
    """Returns the gradient of `phases_along` with respect to its inputs.

    Args:
        upstreams: list of `factor` tensors, the gradients of the phases.
        axis: 1 or 2.
    """
    own, previous, following = 0.0, 0.0, 0.0
    for offset, upstream in zip(_offsets(len(upstreams)), upstreams, strict=True):
        own = own + upstream * (1.0 - abs(offset))
        if offset < 0:
            previous = previous + upstream * abs(offset)
        else:
            following = following + upstream * abs(offset)
    # Each cell is the previous one of the next cell; that of the border is its own.
    first, rest, last, others = _ends(previous, axis)
    own = own + ops.concatenate([rest, ops.zeros_like(last)], axis=axis)
    own = own + ops.concatenate([first, ops.zeros_like(rest)], axis=axis)
    first, rest, last, others = _ends(following, axis)
    own = own + ops.concatenate([ops.zeros_like(first), others], axis=axis)
    return own + ops.concatenate([ops.zeros_like(others), last], axis=axis)


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
