"""Assigns foreign tensors to the variables of a model: all of them, or none."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from keras_fpn.layers import ConvNorm, DepthwiseConvNorm

_SHOWN = 8  # names listed in an error


@dataclass(frozen=True)
class Slot:
    """A variable and the tensor that fills it.

    Attributes:
        key: str, name of the tensor in the checkpoint.
        variable: `keras.Variable`.
        convert: function from the array in the checkpoint to the variable's layout.
    """

    key: str
    variable: keras.Variable
    convert: Callable[[np.ndarray], np.ndarray]


def fill(slots, tensors):
    """Assigns every tensor to its variable, after checking that all of them fit.

    Args:
        slots: list of `Slot`.
        tensors: dict of str -> array, exactly the keys of `slots`.

    Raises:
        ValueError: a tensor is missing, surplus, of another shape or not of floats; no
            variable was changed.
    """
    check_names(slots, tensors)
    values, misshapen = [], []
    for slot in slots:
        tensor = np.asarray(tensors[slot.key])
        if not _is_float(tensor.dtype):
            raise ValueError(
                f"Weights must be floats; received {slot.key} of dtype {tensor.dtype}."
            )
        value = _converted(slot, tensor)
        name = f"{slot.key} {tensor.shape}"
        # One tensor may fill several variables.
        if value is None and name not in misshapen:
            misshapen.append(name)
        values.append(value)
    if misshapen:
        raise ValueError(
            "Tensors must have the shapes of the model's variables; received "
            f"{_names('misshapen', misshapen)}. Check the number of classes and the "
            "architecture."
        )
    for slot, value in zip(slots, values, strict=True):
        slot.variable.assign(value)


def check_names(slots, tensors):
    """Raises an error if tensors have other names than those of a model.

    Args:
        slots, tensors: as of `fill`.

    Raises:
        ValueError: a tensor is missing or surplus.
    """
    wanted = {slot.key for slot in slots}
    missing = sorted(wanted - set(tensors))
    surplus = sorted(set(tensors) - wanted)
    if missing or surplus:
        raise ValueError(
            "The checkpoint must contain exactly the tensors of the model; received a "
            f"checkpoint with {_names('missing', missing)} and "
            f"{_names('surplus', surplus)}. Build the architecture it was made with, "
            "for instance by keras_fpn.from_preset(name)."
        )


def classes_in(model, slots, tensors):
    """Returns how many classes a checkpoint has, int; None if it has no classes.

    Args:
        model: detector, whose parts know the layers that belong to classes.
        slots: list of `Slot`, of this model.
        tensors: dict of str -> array.
    """
    for columns in model.parts.class_columns():
        for slot in slots:
            if slot.variable is columns.layer.bias and slot.key in tensors:
                return columns.count(len(tensors[slot.key]))
    return None


def without_classes(model, slots, tensors):
    """Returns the slots and the tensors that do not belong to classes.

    Args:
        model, slots, tensors: as of `classes_in`.
    """
    of_classes = {
        id(weight)
        for columns in model.parts.class_columns()
        for weight in columns.layer.weights
    }
    left_out = {slot.key for slot in slots if id(slot.variable) in of_classes}
    return (
        [slot for slot in slots if slot.key not in left_out],
        {key: tensor for key, tensor in tensors.items() if key not in left_out},
    )


def _converted(slot, tensor):
    """Returns the tensor in the layout of the variable, or None if it does not fit."""
    try:
        value = slot.convert(tensor.astype("float32"))
    except (ValueError, IndexError):  # reshaping or transposing a wrong shape
        return None
    return value if value.shape == tuple(slot.variable.shape) else None


def _is_float(dtype):
    return np.issubdtype(dtype, np.floating) or dtype.name == "bfloat16"


def _names(word, names):
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {word} {names[:_SHOWN]}{more}"


def as_is(array):
    """Returns a vector unchanged."""
    return array


def conv_kernel(array):
    """Returns torch's (out, in, h, w) as Keras's (h, w, in, out)."""
    return array.transpose(2, 3, 1, 0)


def depthwise_kernel(array):
    """Returns torch's (C, 1, h, w) as Keras's (h, w, C, 1)."""
    return array.transpose(2, 3, 0, 1)


def dense_kernel(array):
    """Returns torch's (out, in) as Keras's (in, out)."""
    return array.T


def cells_first(layer, bins):
    """Returns the conversion of a kernel after torch's flattening of (C, P, P).

    Args:
        layer: built `keras.layers.Dense` on flattened (P, P, C).
        bins: int, P.
    """
    inputs, _ = layer.kernel.shape
    channels = inputs // bins**2

    def convert(array):
        # Not assumed, so that another shape does not fit by accident.
        units, _ = array.shape
        array = array.reshape(units, channels, bins, bins)
        return array.transpose(2, 3, 1, 0).reshape(inputs, units)

    return convert


def conv_norm_slots(layer: ConvNorm, conv_key, norm_key=None):
    """Returns the slots of one `ConvNorm` for torch's conv and norm modules.

    Args:
        layer: built `ConvNorm`.
        conv_key: str, name of the convolution without ".weight".
        norm_key: str, name of the norm; required if the layer has one.
    """
    depthwise = isinstance(layer, DepthwiseConvNorm)
    convert = depthwise_kernel if depthwise else conv_kernel
    slots = [Slot(f"{conv_key}.weight", layer.kernel, convert)]
    if layer.norm is None:
        return [*slots, Slot(f"{conv_key}.bias", layer.bias, as_is)]
    if layer.norm == "biased_group":
        slots.append(Slot(f"{conv_key}.bias", layer.bias, as_is))
    if layer.norm in ("group", "biased_group"):
        norm = layer.group_norm
        vectors = {"weight": norm.gamma, "bias": norm.beta}
    else:
        vectors = {
            "weight": layer.gamma,
            "bias": layer.beta,
            "running_mean": layer.moving_mean,
            "running_var": layer.moving_variance,
        }
    return slots + [
        Slot(f"{norm_key}.{name}", variable, as_is)
        for name, variable in vectors.items()
    ]


def dense_slots(layer, key, kernel=dense_kernel, bias=as_is):
    """Returns the slots of one `keras.layers.Dense` for a torch linear module."""
    return [
        Slot(f"{key}.weight", layer.kernel, kernel),
        Slot(f"{key}.bias", layer.bias, bias),
    ]


def without(tensors, *prefixes):
    """Returns the tensors, dict, whose names do not begin with one of the prefixes."""
    return {k: v for k, v in tensors.items() if not k.startswith(prefixes)}
