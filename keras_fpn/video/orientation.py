"""Turns frames upright: phones store how they were held, and do not turn the pixels."""

import struct

_MATRIX = "=9i"  # rows of 3, in the machine's byte order


def display_matrix(frame):
    """Returns the display matrix of a frame of PyAV, 9 ints in rows, or None."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX" and data.buffer_size == 36:
            return struct.unpack(_MATRIX, bytes(data))
    return None


def is_transposed(matrix) -> bool:
    """Returns whether a display matrix exchanges width and height."""
    return matrix is not None and abs(matrix[1]) > abs(matrix[0])


def upright(pixels, matrix):
    """Returns pixels as a display matrix shows them.

    The point (x, y) of the stored frame is shown at (a x + c y, b x + d y), up to a
    shift, with the matrix's first two rows (a, b, _) and (c, d, _). Only turns by
    quarters and mirror images are applied; what lies between, cameras do not write.

    Source: FFmpeg's `libavutil/display.h`.

    Args:
        pixels: (H, W, 3).
        matrix: 9 ints, or None for a frame without one.

    Returns:
        (H, W, 3) or (W, H, 3), contiguous.
    """
    if matrix is None:
        return pixels
    a, b, _, c, d = matrix[:5]
    to_x, to_y = a, d
    if is_transposed(matrix):
        pixels, to_x, to_y = pixels.transpose(1, 0, 2), c, b
    if to_x < 0:
        pixels = pixels[:, ::-1]
    if to_y < 0:
        pixels = pixels[::-1]
    return pixels.copy(order="C")
