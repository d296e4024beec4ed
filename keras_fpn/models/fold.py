"""Folds batch norms into convolutions, for detectors that are only used to detect."""

from keras_fpn.layers import ConvNorm
from keras_fpn.models.detector import Detector

_BATCH_NORMS = ("frozen_batch", "batch")


def fold_batch_norms(model: Detector):
    """Returns a copy of a detector with its batch norms folded into the kernels.

    A `ConvNorm` folds its batch norm into its kernel in every call, because the
    statistics may have changed since the last one. In the copy this is done once: its
    `ConvNorm`s have a kernel and a bias and no norm. The copy detects the same objects,
    is saved and loaded like any detector, and shares no variable with the model. It
    should not be trained, because its norms are gone. Norms of other layers, such as
    `keras.layers.BatchNormalization`, are not folded.

    Args:
        model: `keras_fpn.models.Detector`; it is not changed.

    Returns:
        detector of the same class, not compiled.
    """
    folded = type(model).from_config(_without_norms(model.get_config()))
    # Keras has no public function that lists the layers inside layers.
    pairs = zip(model._flatten_layers(), folded._flatten_layers(), strict=True)
    own, others = list(model.weights), list(folded.weights)
    for layer, target in pairs:
        if isinstance(layer, ConvNorm) and layer.norm != target.norm:
            for weight, value in zip(target.weights, layer.folded(), strict=True):
                weight.assign(value)
            own, others = _without(own, layer), _without(others, target)
    for weight, other in zip(own, others, strict=True):
        other.assign(weight)
    return folded


def _without_norms(config):
    """Returns a config in which the layers of keras_fpn have no batch norm.

    The shapes with which the layers were built are removed too, because building the
    graph builds the layers again.
    """
    if isinstance(config, list | tuple):
        return type(config)(_without_norms(value) for value in config)
    if not isinstance(config, dict):
        return config
    config = {
        key: _without_norms(value)
        for key, value in config.items()
        if key != "build_config"
    }
    ours = str(config.get("registered_name")).startswith("keras_fpn>")
    if ours and config["config"].get("norm") in _BATCH_NORMS:
        config["config"]["norm"] = None
        if "use_bias" in config["config"]:
            config["config"]["use_bias"] = True  # it takes what the norm added
    return config


def _without(weights, layer):
    gone = {id(weight) for weight in layer.weights}
    return [weight for weight in weights if id(weight) not in gone]
