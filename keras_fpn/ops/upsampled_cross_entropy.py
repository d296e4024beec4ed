"""The cross entropy of logits that are upsampled to the pixels of images."""

from keras import ops

from keras_fpn.ops.bilinear_upsample import phase_along, phase_gradient, shares
from keras_fpn.ops.kernels import native_kernels_run


def upsampled_cross_entropy(logits, labels, weights, factor: int):
    """Returns the sum of the cross entropies of all labelled pixels.

    Args:
        logits: float32 (B, h, w, C), which are upsampled bilinearly by `factor`.
        labels: int (B, factor * h, factor * w), 0..C-1; pixels with others do not
            count.
        weights: float32 (B,), of each image.
        factor: int.

    Returns:
        sum: float32 scalar, of the cross entropies times the weights.
        count: float32 scalar, of the labelled pixels times the weights.
    """
    labels = ops.cast(labels, "int32")
    valid = ops.logical_and(labels >= 0, labels < logits.shape[3])
    weights = ops.cast(valid, "float32") * weights[:, None, None]
    labels = ops.where(valid, labels, 0)
    total = cross_entropy_portable
    if native_kernels_run():
        from keras_fpn.ops.upsampled_cross_entropy_tensorflow import (
            cross_entropy_tensorflow as total,
        )
    return total(logits, labels, weights, factor), ops.sum(weights)


def cross_entropy_portable(logits, labels, weights, factor: int):
    """Returns the weighted sum of cross entropies, without holding upsampled logits.

    Those of 54 classes for two images of 800x1344 pixels are 464 MB, and an ordinary
    gradient holds several such tensors. Here pixels are upsampled and summed in
    factor**2 phases, one after the other, and the gradient with them, so that nothing
    has to be kept or computed again.

    Args:
        logits: float32 (B, h, w, C).
        labels: int32 (B, factor * h, factor * w), 0..C-1.
        weights: float32, of the shape of the labels.
        factor: int.
    """
    labels = _by_phase(labels, logits, factor)
    weights = _by_phase(weights, logits, factor)
    table = ops.convert_to_tensor(shares(factor))

    @ops.custom_gradient
    def differentiable(logits):
        def add(number, sums):
            total, slopes = sums
            row, column = table[number // factor], table[number % factor]
            found = phase_along(phase_along(logits, row, 1), column, 2)
            log_probabilities = ops.log_softmax(found, axis=-1)
            chosen = ops.one_hot(labels[number], logits.shape[3], dtype="float32")
            entropies = -ops.sum(chosen * log_probabilities, axis=-1)
            slope = ops.exp(log_probabilities) - chosen
            slope = slope * weights[number][..., None]
            slope = phase_gradient(phase_gradient(slope, column, 2), row, 1)
            return total + ops.sum(entropies * weights[number]), slopes + slope

        start = (ops.zeros((), "float32"), ops.zeros_like(logits))
        total, slopes = ops.fori_loop(0, factor**2, add, start)
        return total, lambda upstream: upstream * slopes

    return differentiable(logits)


def _by_phase(values, logits, factor):
    """Returns (B, factor * h, factor * w) as (factor**2, B, h, w)."""
    batch, height, width, _ = ops.shape(logits)
    values = ops.reshape(values, (batch, height, factor, width, factor))
    values = ops.transpose(values, (2, 4, 0, 1, 3))
    return ops.reshape(values, (factor**2, batch, height, width))
