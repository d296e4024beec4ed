"""What a detector can be exported as, and why not as the rest: docs/serving.md."""

import pathlib

import keras

FORMAT = "tf_saved_model"

# What happened when they were tried; a file that is written is not one that works.
_REFUSED = {
    "onnx": "the file is written, and onnxruntime refuses its non-maximum suppression",
    "litert": "the file is written, and has operations that LiteRT cannot run",
    "openvino": "nobody has tried what comes out",
    "torch": "it is for the backend torch, on which this package does not run",
}
_SUFFIXES = {
    ".onnx": "onnx",
    ".tflite": "litert",
    ".xml": "openvino",
    ".pt": "torch",
    ".pt2": "torch",
    ".pth": "torch",
}


def check_export_format(name):
    """Refuses what `keras.Model.export` would write without its being of any use.

    Args:
        name: str, as `keras.Model.export` takes it.

    Raises:
        ValueError: it is no SavedModel, or the backend cannot write one.
    """
    if name != FORMAT:
        reason = _REFUSED.get(name, "there is no such format")
        raise ValueError(
            f"A detector's format must be {FORMAT!r}; received format={name!r}: "
            f"{reason}. Write a SavedModel: `keras-fpn export`, docs/serving.md."
        )
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "A SavedModel must be exported on the TensorFlow backend; received "
            f"KERAS_BACKEND={backend}. Save the model with `model.save` and export the "
            "file with KERAS_BACKEND=tensorflow."
        )


def check_export_folder(directory):
    """Refuses a folder whose name is that of a file of another format.

    Raises:
        ValueError: its name ends in .onnx or the like.
    """
    name = _SUFFIXES.get(pathlib.Path(directory).suffix.lower())
    if name is not None:
        raise ValueError(
            "A SavedModel is a folder, and no other format can be written; received "
            f"directory={str(directory)!r}, a name of format {name!r}: "
            f"{_REFUSED[name]}. Give the folder another name, or see docs/serving.md."
        )
