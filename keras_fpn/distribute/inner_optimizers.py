"""The optimizers that Keras's wrappers hold."""

import keras


def inner_optimizers(optimizer):
    """Returns the optimizers that update weights: the one given, or those it holds.

    Args:
        optimizer: `keras.optimizers.Optimizer`. A `MultiOptimizer` that chooses by a
            function knows its own only when it is built.

    Returns:
        list of `keras.optimizers.Optimizer`.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return inner_optimizers(optimizer.inner_optimizer)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return list(optimizer.optimizers)
    return [optimizer]
