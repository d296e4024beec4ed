"""The cross entropy of logits that are upsampled, without holding the upsampled ones.

The upsampled logits of 54 classes for two images of 800x1344 pixels are 464 MB, and an
ordinary gradient holds several such tensors.
"""

from keras import ops

from keras_fpn.ops.bilinear_upsample import phases_along, phases_gradient
from keras_fpn.ops.kernels import native_kernels_run


def upsampled_cross_entropy(logits, labels, weights, factor: int):
    """Returns the sum of the cross entropies of all labelled pixels.

    Pixels are upsampled and summed in factor**2 phases, and the gradient with them, so
    that nothing has to be kept or computed again.

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
    entropy = _entropy_and_gradient
    if native_kernels_run():
        from keras_fpn.ops.softmax_tensorflow import entropy_and_gradient as entropy
    labels = ops.cast(labels, "int32")
    valid = ops.logical_and(labels >= 0, labels < logits.shape[3])
    weights = ops.cast(valid, "float32") * weights[:, None, None]
    count = ops.sum(weights)
    labels = _by_phase(ops.where(valid, labels, 0), logits, factor)
    weights = _by_phase(weights, logits, factor)

    @ops.custom_gradient
    def differentiable(logits):
        total, of_rows = 0.0, []
        for row, rows in enumerate(phases_along(logits, factor, 1)):
            slopes = []
            for column, found in enumerate(phases_along(rows, factor, 2)):
                entropies, slope = entropy(found, labels[row, column])
                total = total + ops.sum(entropies * weights[row, column])
                slopes.append(slope * weights[row, column][..., None])
            of_rows.append(phases_gradient(slopes, 2))
        slopes = phases_gradient(of_rows, 1)
        return total, lambda upstream: upstream * slopes

    return differentiable(logits), count


def _entropy_and_gradient(logits, labels):
    """Returns cross entropies of a softmax, and their gradients.

    Args:
        logits: float32 (..., C).
        labels: int32 (...), 0..C-1.

    Returns:
        entropies: float32 (...).
        gradients: float32 (..., C), of each entropy.
    """
    log_probabilities = ops.log_softmax(logits, axis=-1)
    chosen = ops.one_hot(labels, logits.shape[-1], dtype="float32")
    entropies = -ops.sum(chosen * log_probabilities, axis=-1)
    return entropies, ops.exp(log_probabilities) - chosen


def _by_phase(values, logits, factor):
    """Returns (B, factor * h, factor * w) as (factor, factor, B, h, w)."""
    batch, height, width, _ = ops.shape(logits)
    values = ops.reshape(values, (batch, height, factor, width, factor))
    return ops.transpose(values, (2, 4, 0, 1, 3))
