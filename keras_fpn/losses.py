"""Losses as sums: what they are divided by is the whole batch's, known elsewhere."""

from keras import ops


def smooth_l1(differences, beta):
    """Returns |x| - beta / 2 above beta and x^2 / (2 beta) below, elementwise.

    Source: Girshick 2015 (arXiv:1504.08083), Eq. 3, there with beta 1.

    Args:
        differences: float (...), predicted minus wanted.
        beta: float > 0, where the parabola ends.
    """
    size = ops.abs(differences)
    return ops.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)


def binary_cross_entropy(logits, targets):
    """Returns the cross entropy of a sigmoid, elementwise, safe for large logits.

    Args:
        logits: float (...).
        targets: float (...), 0..1.
    """
    return ops.relu(logits) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))


def softmax_cross_entropy(logits, labels):
    """Returns the cross entropy of a softmax, float (...).

    Args:
        logits: float (..., K).
        labels: int (...), 0..K-1.
    """
    log_probabilities = ops.log_softmax(logits, axis=-1)
    wanted = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return -ops.sum(wanted * log_probabilities, axis=-1)
