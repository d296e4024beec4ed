"""Checks the format of an export; see docs/serving.md."""

import os
import pathlib

import keras

FORMAT = "tf_saved_model"

# Why each of Keras's other formats is not offered: what happened when it was tried.
_UNUSABLE = {
    "onnx": "onnxruntime cannot run the file because of its non-maximum suppression",
    "litert": "LiteRT cannot run some operations in the file",
    "openvino": "it has not been tried",
    "torch": "it needs the backend torch, which this package does not support",
}
_SUFFIXES = {
    ".onnx": "onnx",
    ".tflite": "litert",
    ".xml": "openvino",
    ".pt": "torch",
    ".pt2": "torch",
    ".pth": "torch",
}


def check_export_format(name: str):
    """Raises an error if `keras.Model.export` cannot write a usable file.

    Args:
        name: str, the argument `format` of `keras.Model.export`.

    Raises:
        ValueError: the format is not "tf_saved_model", or the backend is not
            TensorFlow.
    """
    if name != FORMAT:
        reason = _UNUSABLE.get(name, "there is no such format")
        raise ValueError(
            f"A detector's export format must be {FORMAT!r}; received format={name!r}: "
            f"{reason}. Write a SavedModel with `keras-fpn export`; see "
            "docs/serving.md."
        )
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "A SavedModel must be exported on the TensorFlow backend; received "
            f"KERAS_BACKEND={backend}. Save the model with `model.save` and export the "
            "file with KERAS_BACKEND=tensorflow."
        )


def check_export_folder(directory: str | os.PathLike):
    """Raises an error if a folder has the name of a file of another format.

    Raises:
        ValueError: the name has a suffix such as .onnx.
    """
    name = _SUFFIXES.get(pathlib.Path(directory).suffix.lower())
    if name is not None:
        raise ValueError(
            "directory must be the name of a folder, because only a SavedModel can be "
            f"written; received directory={str(directory)!r}, a name of format "
            f"{name!r}: {_UNUSABLE[name]}. Use another name; see docs/serving.md."
        )
