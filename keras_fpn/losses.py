"""Elementwise losses. Callers sum them and divide by a count over the whole batch."""

from keras import ops

# Lin et al. 2017 (arXiv:1708.02002), Sec. 5.1: the weight of positives, and the power
# by which easy examples count less.
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0


def smooth_l1(differences, beta: float):
    """Returns |x| - beta / 2 above beta and x^2 / (2 beta) below, elementwise.

    With a beta of 0 it is the L1 loss, |x|.

    Source: Girshick 2015 (arXiv:1504.08083), Eq. 3, there with beta 1.

    Args:
        differences: float (...), prediction minus target.
        beta: float >= 0, absolute difference from which the loss is linear.
    """
    if beta == 0:  # the branch below would divide by 0
        # The slope at 0 is 0, as in PyTorch; that of `ops.abs` is 1 on JAX.
        return differences * ops.stop_gradient(ops.sign(differences))
    size = ops.abs(differences)
    return ops.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)


def binary_cross_entropy(logits, targets):
    """Returns the cross entropy of a sigmoid, elementwise; large logits are safe.

    Args:
        logits: float (...).
        targets: float (...), 0..1.
    """
    return ops.relu(logits) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))


def sigmoid_focal(logits, positive):
    """Returns the focal loss of a sigmoid, elementwise; large logits are safe.

    It is a_t * (1 - p_t)^2 * -log(p_t), where p_t is the predicted probability of the
    truth, and a_t is 0.25 for positives and 0.75 for negatives.

    Source: Lin et al. 2017 (arXiv:1708.02002), Eq. 5.

    Args:
        logits: float (...).
        positive: bool (...), the truth.
    """
    wrong = ops.where(positive, -logits, logits)  # log odds of what is not true
    alpha = ops.where(positive, FOCAL_ALPHA, 1.0 - FOCAL_ALPHA)
    entropy = ops.relu(wrong) + ops.log1p(ops.exp(-ops.abs(wrong)))
    return alpha * ops.power(ops.sigmoid(wrong), FOCAL_GAMMA) * entropy


def softmax_cross_entropy(logits, labels):
    """Returns the cross entropy of a softmax, float (...).

    Args:
        logits: float (..., K).
        labels: int (...), 0..K-1.
    """
    log_probabilities = ops.log_softmax(logits, axis=-1)
    targets = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return -ops.sum(targets * log_probabilities, axis=-1)
