"""The highest scores, where there may be fewer than are asked for."""

from keras import ops


def top_k_padded(scores, k: int):
    """Returns the k highest scores (B, k), padded with -inf, and their indices.

    `ops.top_k` raises if k is above the number of candidates, hence the padding.

    Args:
        scores: float32 (B, N).
        k: int.

    Returns:
        values: float32 (B, k), highest first.
        indices: int (B, k), 0..N-1, any in the padding.
    """
    batch, count = ops.shape(scores)
    padding = ops.full((batch, k), -float("inf"))
    values, indices = ops.top_k(ops.concatenate([scores, padding], axis=1), k)
    return values, ops.minimum(indices, count - 1)
