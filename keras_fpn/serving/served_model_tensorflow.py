"""A SavedModel that answers requests, by plain TensorFlow."""

import contextlib
import logging
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from keras_fpn.serving.model_folder import ModelFolder
from keras_fpn.serving.request_error import RequestError
from keras_fpn.serving.signatures_tensorflow import DEFAULT

_LETTERS = 300  # of TensorFlow's reason, which may hold a whole graph
# What TensorFlow raises for a SavedModel that lacks a part.
_DAMAGED = (tf.errors.OpError, FileNotFoundError, RuntimeError, DecodeError)
_CLIENTS_FAULT = (
    tf.errors.InvalidArgumentError,
    tf.errors.FailedPreconditionError,
    tf.errors.OutOfRangeError,
)


class ServedModel:
    """One version of a model, with all its signatures; threads may share it.

    Args:
        folder: `ModelFolder`.

    Attributes:
        name, version: of the folder.
        signature_defs: dict of name -> SignatureDef, its inputs and outputs.

    Raises:
        ValueError: TensorFlow cannot load the SavedModel.
        OSError: it cannot be read.
    """

    def __init__(self, folder: ModelFolder):
        self.name, self.version = folder.name, folder.version
        path = folder.path / "saved_model.pb"
        try:
            self.signature_defs = _signature_defs(path)
            with _without_warnings():
                # Its functions hold no reference to it.
                self._loaded = tf.saved_model.load(str(folder.path))
        except _DAMAGED as error:
            reason = str(error) or type(error).__name__
            raise ValueError(
                f"A SavedModel must be one that TensorFlow can load; received {path}: "
                f"{reason[:_LETTERS]}. Export the model again."
            ) from error
        self._signatures = self._loaded.signatures

    def predict(self, signature: str | None, inputs: dict):
        """Returns the outputs of a signature, dict of arrays.

        Args:
            signature: its name; None or "" for "serving_default".
            inputs: dict of arrays or nested lists.

        Raises:
            RequestError: the inputs do not suit the signature, or it failed.
        """
        function = self._function(signature)
        specs = self.input_specs(signature, inputs)
        tensors = {name: _tensor(v, specs[name]) for name, v in inputs.items()}
        try:
            return {name: v.numpy() for name, v in function(**tensors).items()}
        except _CLIENTS_FAULT as error:
            raise _invalid(error.message) from error
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise _no_memory() from error
        except tf.errors.OpError as error:
            raise RequestError("INTERNAL", error.message) from error

    def input_specs(self, signature: str | None, names: Iterable[str]):
        """Returns a signature's inputs, dict of name -> tf.TensorSpec.

        Raises:
            RequestError: there is no such signature, or its inputs have other names.
        """
        specs = self._function(signature).structured_input_signature[1]
        if set(specs) != set(names):
            raise _invalid(f"inputs must be {sorted(specs)}, not {sorted(names)}")
        return specs

    def only_input(self, signature: str | None):
        """Returns the name of a signature's input; None if it has several."""
        names = list(self._function(signature).structured_input_signature[1])
        return names[0] if len(names) == 1 else None

    def default_names(self):
        """Returns the names of the inputs and of the outputs of "serving_default".

        They are two lists of str, both empty if there is no such signature.
        """
        found = self.signature_defs.get(DEFAULT)
        if found is None:
            return [], []
        return sorted(found.inputs), sorted(found.outputs)

    def _function(self, signature):
        signature = signature or DEFAULT
        if signature not in self._signatures:
            raise _invalid(f'Serving signature name: "{signature}" not found')
        return self._signatures[signature]


@contextlib.contextmanager
def _without_warnings():
    """TensorFlow warns that there are no gradients, which no server needs."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _signature_defs(path):
    """Returns the signatures that a file describes."""
    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    definitions = {
        name: definition
        for graph in message.meta_graphs
        if "serve" in graph.meta_info_def.tags
        for name, definition in graph.signature_def.items()
    }
    if not definitions:
        raise RuntimeError("it has no signatures for a server")
    return definitions


def _tensor(value, spec):
    """Returns an input as a tensor of the dtype and shape that a signature asks for."""
    try:
        if spec.dtype != tf.string:
            value = _numbers(value, spec.dtype)
        tensor = tf.constant(value, spec.dtype)
    except MemoryError as error:
        raise _no_memory() from error
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise _invalid(f"{spec.name}: {error}") from error
    if not spec.shape.is_compatible_with(tensor.shape):
        raise _invalid(
            f"{spec.name} must have the shape {spec.shape}; received {tensor.shape}"
        )
    return tensor


def _numbers(value, dtype):
    """Returns numbers as an array; TensorFlow itself would take 300 as the uint8 44.

    Raises:
        ValueError: they are no numbers of this dtype, or no rectangle.
    """
    array = np.asarray(value)
    if array.size == 0:
        return array.astype(dtype.as_numpy_dtype)
    kinds = "iuf" if dtype.is_floating else "iu" if dtype.is_integer else "b"
    if array.dtype.kind not in kinds:
        raise ValueError(f"must be {dtype.name}; received {array.dtype}")
    if dtype.is_integer and not dtype.min <= array.min() <= array.max() <= dtype.max:
        raise ValueError(
            f"must be {dtype.min} to {dtype.max}; received {array.min()} to "
            f"{array.max()}"
        )
    return array.astype(dtype.as_numpy_dtype)


def _no_memory():
    return RequestError(
        "UNAVAILABLE", "The server has too little memory for this request."
    )


def _invalid(message):
    return RequestError("INVALID_ARGUMENT", message)
