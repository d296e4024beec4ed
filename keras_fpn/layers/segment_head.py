"""The head of segmentation proposals: a mask and a score at every cell."""

import math
from collections.abc import Sequence

import keras
from keras import KerasTensor, ops

from keras_fpn.boxes import take_rows
from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.levels import ordered_names, rows_of_map


@keras.saving.register_keras_serializable(package="keras_fpn")
class SegmentHead(keras.layers.Layer):
    """Predicts the score and the mask of one object per cell and scale.

    For each scale, a convolution and two sibling 1x1 convolutions predict a score and a
    mask; all levels share them. Scores are predicted everywhere. Masks are predicted
    at chosen cells, and so are scores in training: there the head sees only the
    surroundings of these cells, which gives the same numbers at a small part of the
    cost and memory.

    Source: Lin et al. 2017 (arXiv:1612.03144), Sec. 6 and Appendix A. That a ReLU
    follows the first convolution is our reading; the text does not say.

    Args:
        kernel_sizes: odd ints, size of the first convolution of each scale, A of them.
        channels: int, its outputs.
        mask_size: int, m, cells along each side of a mask.

    Call arguments:
        pyramid: dict "P<l>" -> float (B, H_l, W_l, C).
        indices: int (B, S), 0..N-1, the chosen among the N = sum(H_l * W_l * A) windows
            of all levels, in the order of `SegmentWindows`; None for scores everywhere.

    Returns:
        Without indices, scores: float (B, N), logits. With indices, predictions: float
        (B, S, 1 + m * m), logits of the score and the mask; see `scores_and_masks`.

    Raises:
        ValueError: there is no kernel size, or one is even.
    """

    def __init__(
        self,
        kernel_sizes: Sequence[int] = (5, 7),
        channels: int = 512,
        mask_size: int = 14,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_sizes = tuple(kernel_sizes)
        self.channels = channels
        self.mask_size = mask_size
        if not kernel_sizes or any(size % 2 == 0 for size in kernel_sizes):
            raise ValueError(
                "There must be kernel sizes, all odd, so that a kernel has a center; "
                f"received kernel_sizes={self.kernel_sizes}."
            )

    def build(self, pyramid_shape, indices_shape=None):
        shape = tuple(pyramid_shape[ordered_names(pyramid_shape)[0]])
        hidden_shape = (*shape[:-1], self.channels)
        self.predictors = []
        for number, size in enumerate(self.kernel_sizes, start=1):
            hidden = ConvNorm(
                self.channels,
                size,
                activation="relu",
                dtype=self.dtype_policy,
                name=f"hidden_{number}",
            )
            hidden.build(shape)
            score = self._predictor(1, f"score_{number}", hidden_shape)
            mask = self._predictor(self.mask_size**2, f"mask_{number}", hidden_shape)
            self.predictors.append((hidden, score, mask))

    # Every call returns one tensor, because Keras wants equally many outputs from all
    # calls of a layer in one model.
    def call(self, pyramid, indices=None):
        if indices is None:
            return self._scores(pyramid)
        indices = ops.cast(indices, "int32")
        table, corners, row_lengths = self._surroundings(pyramid, indices)
        predictions = 0.0
        for number, (hidden, score, mask) in enumerate(self.predictors):
            size = self.kernel_sizes[number]
            patches = self._patches(table, corners, row_lengths, size)
            flat = (-1, self.channels)
            kernel = ops.reshape(ops.cast(hidden.kernel, patches.dtype), flat)
            features = ops.matmul(patches, kernel)
            features = features + ops.cast(hidden.bias, features.dtype)
            features = hidden.activation(features)[:, :, None]  # a map of width 1
            both = ops.concatenate([score(features), mask(features)], axis=-1)[:, :, 0]
            own = (indices % len(self.kernel_sizes) == number)[..., None]
            predictions = predictions + both * ops.cast(own, both.dtype)
        return predictions

    def compute_output_spec(self, pyramid, indices=None):
        dtype = self.compute_dtype
        if indices is not None:
            return KerasTensor((*indices.shape, 1 + self.mask_size**2), dtype)
        shapes = [level.shape for level in pyramid.values()]
        counts = [rows_of_map(shape, len(self.kernel_sizes)) for shape in shapes]
        count = None if None in counts else sum(counts)
        return KerasTensor((shapes[0][0], count), dtype)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, SegmentHead)}

    def _scores(self, pyramid):
        """Returns the logits of all scores, (B, N)."""
        levels = []
        for name in ordered_names(pyramid):
            maps = [
                score(hidden(pyramid[name])) for hidden, score, _ in self.predictors
            ]
            maps = ops.concatenate(maps, axis=-1)  # (B, H_l, W_l, A)
            levels.append(ops.reshape(maps, (ops.shape(maps)[0], -1)))
        return ops.concatenate(levels, axis=1)

    def _surroundings(self, pyramid, indices):
        """Returns the padded levels as rows of one table, and where to read in it.

        Returns:
            table: (B, T, C), the cells of all levels, padded with zeros.
            corners: int (B, S), row of the upper left neighbor within the padding.
            row_lengths: int (B, S), how many rows of the table one row of the map has.
        """
        margin = max(self.kernel_sizes) // 2
        scales = len(self.kernel_sizes)
        tables, first, first_row = [], 0, 0
        corners = row_lengths = ops.zeros_like(indices)
        for name in ordered_names(pyramid):
            batch, height, width, channels = ops.shape(pyramid[name])
            margins = ((0, 0), (margin, margin), (margin, margin), (0, 0))
            padded = ops.pad(pyramid[name], margins)
            tables.append(ops.reshape(padded, (batch, -1, channels)))
            cell = (indices - first) // scales
            length = width + 2 * margin
            here = indices >= first  # later levels overwrite it
            corner = first_row + cell // width * length + cell % width
            corners = ops.where(here, corner, corners)
            row_lengths = ops.where(here, length, row_lengths)
            first = first + height * width * scales
            first_row = first_row + (height + 2 * margin) * length
        return ops.concatenate(tables, axis=1), corners, row_lengths

    def _patches(self, table, corners, row_lengths, size):
        """Returns the cells that a kernel sees, flat: (B, S, size * size * C)."""
        start = max(self.kernel_sizes) // 2 - size // 2
        steps = ops.arange(start, start + size, dtype="int32")
        rows = corners[..., None, None] + steps[:, None] * row_lengths[..., None, None]
        rows = rows + steps
        batch, count = ops.shape(corners)
        cells = take_rows(table, ops.reshape(rows, (batch, -1)))
        return ops.reshape(cells, (batch, count, size * size * table.shape[-1]))

    def _predictor(self, filters, name, shape):
        layer = ConvNorm(
            filters,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(shape)
        return layer


def scores_and_masks(predictions):
    """Returns the parts of predictions at chosen cells, as float32 logits.

    Args:
        predictions: float (B, S, 1 + m * m), as returned by `SegmentHead`.

    Returns:
        scores: float32 (B, S).
        masks: float32 (B, S, m, m).
    """
    predictions = ops.cast(predictions, "float32")
    side = math.isqrt(predictions.shape[-1] - 1)
    batch, count = ops.shape(predictions)[:2]
    masks = ops.reshape(predictions[..., 1:], (batch, count, side, side))
    return predictions[..., 0], masks
