"""The optimizers inside the wrappers of Keras."""

import keras


def inner_optimizers(optimizer):
    """Returns the optimizers that update weights: the one given, or those it wraps.

    Args:
        optimizer: `keras.optimizers.Optimizer`. A `MultiOptimizer` that chooses its
            optimizers by a function knows them only once it is built.

    Returns:
        list of `keras.optimizers.Optimizer`.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return inner_optimizers(optimizer.inner_optimizer)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return list(optimizer.optimizers)
    return [optimizer]
