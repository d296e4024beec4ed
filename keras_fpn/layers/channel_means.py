"""Means of channels, taken in an order that suits a CPU."""

from keras import ops


def channel_means(maps):
    """Returns the mean of each channel of each image.

    The mean over columns is taken before that over rows. TensorFlow then adds whole
    vectors of channels on a CPU, which takes less time than both at once, and sums of
    fewer numbers are more precise.

    Args:
        maps: float (B, H, W, C).

    Returns:
        float (B, C).
    """
    return ops.mean(ops.mean(maps, axis=2), axis=1)
