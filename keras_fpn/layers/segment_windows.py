"""The windows of segmentation proposals: where each cell predicts a mask."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_fpn.anchors import grid_anchors
from keras_fpn.config import arguments_of
from keras_fpn.levels import level_number, ordered_names, rows_of_map


@keras.saving.register_keras_serializable(package="keras_fpn")
class SegmentWindows(keras.layers.Layer):
    """Returns the square windows in which the cells of every level predict masks.

    A cell of a level with stride 2^l is for objects whose longer side is about `cells`
    * 2^l pixels times one of the `scales`: 32 px on P2 to 512 px on P6, and half
    octaves between them. Windows are larger by `padding`: 40 px to 640 px.

    Source: Lin et al. 2017 (arXiv:1612.03144), Appendix A. The cell in row y and column
    x is at (x, y) * 2^l.

    Args:
        cells: float, side of objects in cells of their level.
        scales: floats, A scales per cell, relative to `cells`.
        padding: float, side of a window relative to that of its objects.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C).

    Returns:
        dict "P<l>" -> float32 (H_l * W_l * A, 4), xyxy, input-image pixels.

    Raises:
        ValueError: an argument is not above 0, or there is no scale.
    """

    def __init__(
        self,
        cells: float = 8.0,
        scales: Sequence[float] = (1.0, 2**0.5),
        padding: float = 1.25,
        **kwargs,
    ):
        # Boxes are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        self.cells = cells
        self.scales = tuple(scales)
        self.padding = padding
        if not self.scales or min(cells, padding, *self.scales) <= 0:
            raise ValueError(
                "There must be scales, and cells, scales and padding must be above 0; "
                f"received cells={cells}, scales={self.scales}, padding={padding}."
            )

    def call(self, pyramid):
        windows = {}
        for name in ordered_names(pyramid):
            stride = 2 ** level_number(name)
            sides = self.padding * self.cells * stride
            half = np.array(self.scales, "float32")[:, None] * sides / 2
            cell = np.concatenate([-half, -half, half, half], axis=1)
            grid_size = ops.shape(pyramid[name])[1:3]
            covered = [cells * stride for cells in grid_size]
            windows[name] = grid_anchors(cell, grid_size, covered)
        return windows

    def compute_output_shape(self, pyramid_shape):
        return {
            name: (rows_of_map(shape, len(self.scales)), 4)
            for name, shape in pyramid_shape.items()
        }

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, SegmentWindows)}
