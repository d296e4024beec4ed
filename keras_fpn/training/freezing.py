"""Which weights of a detector are trained, and which are decayed."""

from collections.abc import Collection

import keras

from keras_fpn.distribute.inner_optimizers import inner_optimizers
from keras_fpn.levels import ordered_names

NORM_NAMES = ("gamma", "beta")


def freeze_bottom_up(backbone, through: str | None):
    """Freezes a backbone from the image up to and including a level.

    Published recipes with ImageNet weights freeze the stem and C2: `through="C2"` is
    torchvision's trainable_backbone_layers=3 and detectron2's FREEZE_AT=2.

    Args:
        backbone: functional model, image -> dict "C<l>" -> map.
        through: such as "C2"; None unfreezes the whole backbone.

    Returns:
        list of str, names of the frozen layers with weights.

    Raises:
        ValueError: the backbone has no such level.
    """
    levels = ordered_names(backbone.output)
    if through is not None and through not in levels:
        raise ValueError(
            f"The last level to freeze must be one of {levels}, or None; received "
            f"through={through!r}."
        )
    frozen = set()
    if through is not None:
        below = keras.Model(backbone.input, backbone.output[through])
        frozen = {id(layer) for layer in below.layers}
    for layer in backbone.layers:
        layer.trainable = id(layer) not in frozen
    return [
        layer.name for layer in backbone.layers if id(layer) in frozen and layer.weights
    ]


def exclude_from_decay(optimizer, model, names: Collection[str] = NORM_NAMES):
    """Excludes the weights of some names from the weight decay of an optimizer.

    Call it before the first step of the optimizer. It is not saved with the model.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
        model: `keras.Model`.
        names: last parts of the weights' paths: `NORM_NAMES` are those of norms; add
            "bias" for biases.

    Returns:
        int, how many weights are excluded.

    Raises:
        ValueError: a `MultiOptimizer` chooses its optimizers by a function.
    """
    excluded = [weight for weight in model.trainable_weights if weight.name in names]
    optimizers = inner_optimizers(optimizer)
    if excluded and not optimizers:
        raise ValueError(
            "The optimizers of a MultiOptimizer must be known before it is built; "
            "received one that chooses them by a function. Give it a "
            "keras.optimizers.OptimizerMap."
        )
    for inner in optimizers:
        inner.exclude_from_weight_decay(var_list=excluded)
    return len(excluded)
