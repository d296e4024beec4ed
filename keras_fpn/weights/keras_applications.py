"""keras.applications' MobileNetV2: which tensor fills which variable."""

import os

import keras
import numpy as np

from keras_fpn.layers import ConvNorm
from keras_fpn.weights.mapping import Slot, as_is, fill

# Layers above the last map that a pyramid reads.
_CLASSIFIER = ("Conv_1/", "Conv_1_bn/", "predictions/")


def load_keras_applications(backbone, source):
    """Fills a MobileNetV2 backbone with the weights of keras.applications'.

    Args:
        backbone: `keras_fpn.backbones.mobilenet_v2()`, with batch norms.
        source: a `keras.applications.MobileNetV2`; a dict "<layer>/<variable>" -> array
            of its variables; or the path of an .npz file of such a dict. Convolutions
            may come folded, with "<layer>/bias" in the place of their batch norm.

    Raises:
        ValueError: a tensor is missing, surplus, misshapen or not of floats (each
            named), or the backbone is another; it is left untouched.
    """
    layers = [layer for layer in backbone.layers if isinstance(layer, ConvNorm)]
    if backbone.name != "mobilenet_v2" or "batch" not in str(layers[0].norm):
        raise ValueError(
            "keras.applications' weights fit mobilenet_v2 with norm='frozen_batch' or "
            f"'batch'; received {backbone.name} with norm={layers[0].norm!r}."
        )
    slots = []
    for layer in layers:
        conv, norm = _keras_names(layer.name)
        slots.append(Slot(f"{conv}/kernel", layer.kernel, as_is))
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            slots.append(Slot(f"{norm}/{name}", getattr(layer, name), as_is))
    tensors = {
        key: tensor
        for key, tensor in _tensors(source).items()
        if not key.startswith(_CLASSIFIER)
    }
    fill(slots, _unfolded(tensors, layers))


def _keras_names(name):
    """Returns keras.applications' names of a convolution and of its batch norm."""
    if name == "stem":
        return "Conv1", "bn_Conv1"
    number, role = name.removeprefix("block").split("_", 1)
    block = "expanded_conv" if number == "0" else f"block_{number}"
    return f"{block}_{role}", f"{block}_{role}_BN"


def _tensors(source):
    if isinstance(source, keras.Model):
        return {
            f"{layer.name}/{variable.name}": keras.ops.convert_to_numpy(variable)
            for layer in source.layers
            for variable in layer.weights
        }
    if isinstance(source, (str, os.PathLike)):
        try:
            with np.load(source, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (OSError, ValueError) as error:
            raise ValueError(
                "MobileNetV2's weights must be an .npz file of plain arrays; received "
                f"{os.fspath(source)!r} ({error})."
            ) from error
    return dict(source)


def _unfolded(tensors, layers):
    """Returns the tensors with every folded bias as a batch norm that adds just it."""
    tensors = dict(tensors)
    for layer in layers:
        conv, norm = _keras_names(layer.name)
        if f"{conv}/bias" in tensors:
            bias = np.asarray(tensors.pop(f"{conv}/bias"), "float32")
            tensors[f"{norm}/beta"] = bias
            gamma = np.sqrt(np.float32(1.0 + layer.epsilon))  # divided out again
            tensors[f"{norm}/gamma"] = np.full_like(bias, gamma)
            tensors[f"{norm}/moving_mean"] = np.zeros_like(bias)
            tensors[f"{norm}/moving_variance"] = np.ones_like(bias)
    return tensors
