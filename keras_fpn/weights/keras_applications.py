"""MobileNetV2 of keras.applications: the tensor for each variable."""

import os
import zlib
from zipfile import BadZipFile

import keras
import numpy as np

from keras_fpn.layers import ConvNorm
from keras_fpn.weights.mapping import Slot, as_is, fill

# Layers after the last map that a pyramid reads.
_CLASSIFIER = ("Conv_1/", "Conv_1_bn/", "predictions/")

_VECTORS = ("gamma", "beta", "moving_mean", "moving_variance")

# What NumPy raises for files that are not archives, or damaged.
_UNREADABLE = (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error)


def load_keras_applications(backbone: keras.Model, source) -> None:
    """Fills a MobileNetV2 backbone with the weights of keras.applications.

    Args:
        backbone: `keras_fpn.backbones.mobilenet_v2()`, with batch norms.
        source: a `keras.applications.MobileNetV2`; a dict "<layer>/<variable>" -> array
            of its variables; or the path of an .npz file of such a dict. Convolutions
            may be folded, with "<layer>/bias" instead of their batch norm.

    Raises:
        ValueError: a tensor is missing, surplus, misshapen or not of floats (each
            named), or it is another backbone, which stays unchanged.
    """
    layers = [layer for layer in backbone.layers if isinstance(layer, ConvNorm)]
    if backbone.name != "mobilenet_v2" or "batch" not in str(layers[0].norm):
        raise ValueError(
            "keras.applications' weights fit mobilenet_v2 with norm='frozen_batch' or "
            f"'batch'; received {backbone.name} with norm={layers[0].norm!r}."
        )
    tensors = {
        key: tensor
        for key, tensor in _tensors(source).items()
        if not key.startswith(_CLASSIFIER)
    }
    slots = []
    for layer in layers:
        slots += _slots(layer, tensors)
    fill(slots, tensors)


def _slots(layer, tensors):
    """Returns the slots of a convolution: kernel and norm or, if folded, bias."""
    conv, norm = _keras_names(layer.name)
    bias = f"{conv}/bias"
    keys = {name: f"{norm}/{name}" for name in _VECTORS}
    convert = dict.fromkeys(_VECTORS, as_is)
    if bias in tensors and not set(keys.values()) & set(tensors):
        # A norm that only adds the bias; its gamma cancels the epsilon.
        gamma = np.sqrt(np.float32(1.0 + layer.epsilon))
        keys = dict.fromkeys(_VECTORS, bias)
        convert["gamma"] = lambda array: np.full_like(array, gamma)
        convert["moving_mean"] = np.zeros_like
        convert["moving_variance"] = np.ones_like
    slots = [Slot(f"{conv}/kernel", layer.kernel, as_is)]
    return slots + [
        Slot(keys[name], getattr(layer, name), convert[name]) for name in _VECTORS
    ]


def _keras_names(name):
    """Returns the names of a convolution and its batch norm in keras.applications."""
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
            with open(source, "rb") as file:
                with np.load(file, allow_pickle=False) as archive:
                    return {key: archive[key] for key in archive.files}
        except _UNREADABLE as error:
            raise ValueError(
                "MobileNetV2's weights must be an .npz file of plain arrays; received "
                f"{os.fspath(source)!r} ({error})."
            ) from error
    return dict(source)
