"""Writes a detector as a SavedModel."""

import importlib
import json

from keras_fpn.export.version_folder import check_version, new_version
from keras_fpn.files import printable
from keras_fpn.models.export_formats import (
    FORMAT,
    check_export_folder,
    check_export_format,
)

MAX_PIXELS = 64_000_000  # above what phones make; decoded, 192 MB
MAX_PHOTOS = 8  # half a gigabyte each for a ResNet-50 at 800 pixels
CLASSES = "classes.json"


def export_saved_model(
    model,
    directory,
    version=None,
    frozen=False,
    warmup=False,
    normalized_boxes=False,
    with_xyxy=False,
    max_pixels=MAX_PIXELS,
    max_photos=MAX_PHOTOS,
):
    """Writes `directory/version/saved_model.pb`, which TensorFlow Serving takes as is.

    Everything is in the graph: decoding, resizing, padding, the model, suppression, and
    the way back to each photo's own pixels; only operations of TensorFlow itself. Three
    signatures: "serving_default" takes encoded photos, "image_tensor" pixels,
    "tf_example" serialized tf.train.Examples. docs/serving.md lists what goes in and
    out. `assets.extra/classes.json` holds the names of the classes.

    The version appears under its number only when it is complete.

    Args:
        model: `keras_fpn.models.Detector`, on the TensorFlow backend.
        directory: path of the model's folder; its name is the model's for the server.
        version: int, at least 1; None, the next number.
        frozen: bool, whether weights become constants of the graph instead of variables
            in files of their own. Batch norms are in the kernels either way.
        warmup: bool, whether requests are added that a server answers before it is
            ready; needs tensorflow-serving-api.
        normalized_boxes: bool, whether "detection_boxes" are shares, 0..1, of the
            photo's height and width instead of pixels.
        with_xyxy: bool, whether a fourth signature, "xyxy", takes encoded photos and
            returns what `detect` does: boxes x1, y1, x2, y2 and labels.
        max_pixels: int, photos with more are not decoded.
        max_photos: int, of a request, those after as many are not decoded.

    Returns:
        pathlib.Path of the version's folder.

    Raises:
        ValueError: the backend is not TensorFlow; the folder is called as a file of
            another format; the version is no new number; a limit is below 1; an output
            of the model has no name for servers yet.
        ImportError: warmup without tensorflow-serving-api.
    """
    check_export(directory, version, warmup, max_pixels, max_photos)
    import tensorflow as tf

    from keras_fpn.serving.signatures_tensorflow import Signatures, check_outputs

    check_outputs(model)
    with new_version(directory, version) as (folder, final):
        served = Signatures(
            model, frozen, normalized_boxes, with_xyxy, max_pixels, max_photos
        )
        functions = served.functions()
        # What is served has no use for RoIAlign's gradient.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(
            served.module, str(folder), signatures=functions, options=options
        )
        extra = folder / "assets.extra"
        extra.mkdir()
        _write_classes(model, extra / CLASSES)
        if warmup:
            from keras_fpn.serving.warmup_tensorflow import write_warmup

            # The name that the folder has for others, whatever it is called here.
            write_warmup(extra, final.parent.resolve().name, list(functions))
    return final


def check_export(
    directory,
    version=None,
    warmup=False,
    max_pixels=MAX_PIXELS,
    max_photos=MAX_PHOTOS,
):
    """Raises what `export_saved_model` would, but for the model; makes nothing."""
    check_export_folder(directory)
    check_export_format(FORMAT)
    for name, value in (("max_pixels", max_pixels), ("max_photos", max_photos)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; received {name}={value}.")
    check_version(directory, version)
    if warmup:
        importlib.import_module("keras_fpn.serving.warmup_tensorflow")


def _write_classes(model, path):
    """Writes what "detection_classes" mean, best read by `json.load`."""
    classes = [
        {"id": number, "name": name}
        for number, name in zip(model.category_ids, model.class_names, strict=True)
    ]
    text = json.dumps(classes, indent=0, ensure_ascii=False) + "\n"
    path.write_text(printable(text), "utf-8")
