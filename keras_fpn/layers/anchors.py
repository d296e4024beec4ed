"""The anchors of all pyramid levels."""

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from keras_fpn.anchors import cell_anchors, grid_anchors, unrounded_cell_anchors
from keras_fpn.levels import level_number, ordered_names, rows_of_map

RATIOS = (0.5, 1.0, 2.0)


@keras.saving.register_keras_serializable(package="keras_fpn")
class MultiLevelAnchors(keras.layers.Layer):
    """Returns the anchors of every level over the padded image.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 4.1, who have one size per level,
    32 px on P2 to 512 px on P6, and three ratios. Rounding and spacing as in
    `keras_fpn.anchors`.

    Args:
        sizes: dict "P<l>" -> floats, square root of each anchor's area, pixels; the
            same number on every level.
        ratios: floats, height over width.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C), the levels of `sizes`.
        images: float (B, H, W, 3), the padded images; only their size is read.

    Returns:
        dict "P<l>" -> float32 (H_l * W_l * A, 4), xyxy, input-image pixels.

    Raises:
        ValueError: the pyramid's levels are not those of `sizes`, or the levels do not
            all have the same number of sizes.
    """

    def __init__(
        self,
        sizes: Mapping[str, Sequence[float]],
        ratios: Sequence[float] = RATIOS,
        **kwargs,
    ):
        # Boxes are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        self.sizes = {name: tuple(sizes[name]) for name in ordered_names(sizes)}
        self.ratios = tuple(ratios)
        if len({len(level_sizes) for level_sizes in self.sizes.values()}) > 1:
            raise ValueError(
                "All levels must have the same number of anchor sizes, because one "
                f"head predicts on all of them; received sizes={self.sizes}."
            )

    @property
    def per_cell(self):
        """int, A, anchors per cell, the same on every level."""
        return len(self.ratios) * len(next(iter(self.sizes.values())))

    def build(self, pyramid_shape, images_shape):
        if ordered_names(pyramid_shape) != list(self.sizes):
            raise ValueError(
                "sizes must have exactly the levels of the pyramid; received levels "
                f"{ordered_names(pyramid_shape)} and sizes for {list(self.sizes)}. "
                "Pass anchors=MultiLevelAnchors(sizes=...) with the pyramid's levels."
            )

    def call(self, pyramid, images):
        image_size = ops.shape(images)[1:3]
        return {
            name: self.of_level(name, ops.shape(pyramid[name])[1:3], image_size)
            for name in self.sizes
        }

    def of_level(self, name: str, grid_size, image_size):
        """Returns the anchors of a level, float32 (h * w * A, 4), xyxy, pixels.

        Args:
            name: "P<l>".
            grid_size: (h, w) of the level's map.
            image_size: (H, W) of the padded image.
        """
        stride = 2 ** level_number(name)
        extent = [
            cells * self.spacing(stride, cells, pixels)
            for cells, pixels in zip(grid_size, image_size, strict=True)
        ]
        return grid_anchors(self.cell(name), grid_size, extent)

    def cell(self, name: str):
        """Returns the anchors of a level's cell at the origin, float32 (A, 4), xyxy."""
        return cell_anchors(self.sizes[name], self.ratios)

    @staticmethod
    def spacing(stride, cells, pixels):
        """Returns the distance of two cells, pixels, as `grid_anchors` places them.

        Args:
            stride: 2^l, pixels.
            cells: number of cells along an axis.
            pixels: length of the padded image on that axis.
        """
        return pixels // cells

    def compute_output_shape(self, pyramid_shape, images_shape):
        return {
            name: (rows_of_map(shape, self.per_cell), 4)
            for name, shape in pyramid_shape.items()
        }

    def get_config(self):
        return {**super().get_config(), "sizes": self.sizes, "ratios": self.ratios}


@keras.saving.register_keras_serializable(package="keras_fpn")
class StridedAnchors(MultiLevelAnchors):
    """Returns anchors that are exactly 2^l pixels apart and not rounded.

    The anchors of the cell in row i and column j of level l are centered at
    (j * 2^l, i * 2^l).

    Source: detectron2's anchor generator. `MultiLevelAnchors` is torchvision's, whose
    spacing depends on the padded size of the image.

    Args, call arguments, returns and raises: as `MultiLevelAnchors`, but of the anchors
    of a cell, sizes are in the outer loop and ratios in the inner one.
    """

    def cell(self, name):
        return unrounded_cell_anchors(self.sizes[name], self.ratios)

    @staticmethod
    def spacing(stride, cells, pixels):
        return stride
