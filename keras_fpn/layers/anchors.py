"""Anchors of all pyramid levels."""

import keras
from keras import ops

from keras_fpn.anchors import cell_anchors, grid_anchors
from keras_fpn.levels import ordered_names

RATIOS = (0.5, 1.0, 2.0)


@keras.saving.register_keras_serializable(package="keras_fpn")
class MultiLevelAnchors(keras.layers.Layer):
    """Places every level's anchors over the padded image.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 4.1: one size per level, 32^2 to
    512^2 on P2 to P6, three ratios; rounding and spacing as in `keras_fpn.anchors`.

    Args:
        sizes: dict "P<l>" -> floats, square roots of areas, pixels, as many on every
            level.
        ratios: floats, height over width.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C), the levels of `sizes`.
        images: float (B, H, W, 3), the padded images; only their size is read.

    Returns:
        dict "P<l>" -> float32 (H_l * W_l * A, 4), xyxy, input-image pixels.

    Raises:
        ValueError: other levels than those of `sizes`, or not as many sizes on each.
    """

    def __init__(self, sizes, ratios=RATIOS, **kwargs):
        # Boxes are float32 under every policy.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        self.sizes = {name: tuple(sizes[name]) for name in ordered_names(sizes)}
        self.ratios = tuple(ratios)
        if len({len(level_sizes) for level_sizes in self.sizes.values()}) > 1:
            raise ValueError(
                "Every level must have as many anchor sizes, for they share one head; "
                f"received sizes={self.sizes}."
            )

    @property
    def per_cell(self):
        """int, A, anchors per cell, the same on every level."""
        return len(self.ratios) * len(next(iter(self.sizes.values())))

    def build(self, pyramid_shape, images_shape):
        if ordered_names(pyramid_shape) != list(self.sizes):
            raise ValueError(
                "Anchor sizes must be given for exactly the pyramid's levels; received "
                f"levels {ordered_names(pyramid_shape)} and sizes for "
                f"{list(self.sizes)}. Pass anchors=MultiLevelAnchors(sizes=...)."
            )

    def call(self, pyramid, images):
        image_size = ops.shape(images)[1:3]
        return {
            name: grid_anchors(
                cell_anchors(sizes, self.ratios),
                ops.shape(pyramid[name])[1:3],
                image_size,
            )
            for name, sizes in self.sizes.items()
        }

    def compute_output_shape(self, pyramid_shape, images_shape):
        shapes = {}
        for name, shape in pyramid_shape.items():
            known = None not in shape[1:3]
            cells = shape[1] * shape[2] if known else None
            shapes[name] = (cells * self.per_cell if known else None, 4)
        return shapes

    def get_config(self):
        return {**super().get_config(), "sizes": self.sizes, "ratios": self.ratios}
