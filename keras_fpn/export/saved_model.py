"""Writes a detector as a SavedModel."""

import importlib
import json
import os

from keras_fpn.export.version_folder import check_version, new_version
from keras_fpn.files import printable
from keras_fpn.models.export_formats import (
    FORMAT,
    check_export_folder,
    check_export_format,
)
from keras_fpn.models.given_proposals import takes_proposals

MAX_PIXELS = 64_000_000  # more than photos of phones have; 192 MB when decoded
MAX_PHOTOS = 8  # each needs half a gigabyte for a ResNet-50 at 800 pixels
CLASSES = "classes.json"
STUFF = "stuff.json"
_EXCERPT = 300  # characters, the last of a message that may begin with a whole graph


def export_saved_model(
    model,
    directory: str | os.PathLike,
    version: int | None = None,
    frozen: bool = False,
    warmup: bool = False,
    normalized_boxes: bool = False,
    with_xyxy: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_photos: int = MAX_PHOTOS,
):
    """Writes `directory/version/saved_model.pb`, which TensorFlow Serving can load.

    The graph does everything, with operations of TensorFlow alone: it decodes, resizes
    and pads the photos, runs the model, and returns boxes in each photo's own pixels.
    It has three signatures: "serving_default" takes encoded photos, "image_tensor"
    pixels, "tf_example" serialized tf.train.Examples. docs/serving.md lists their
    inputs and outputs; those of a detector that takes proposals have an input of that
    name, too. `assets.extra/classes.json` holds the names of the classes, and
    `stuff.json`, of a panoptic detector, those of stuff.

    The folder gets its number only when it is complete.

    Args:
        model: `keras_fpn.models.Detector`, on the TensorFlow backend.
        directory: the model's folder. Its name is the name of the model on the server.
        version: number of at least 1; None, the next one.
        frozen: whether weights become constants of the graph instead of variables in
            separate files. Batch norms are folded into the kernels in both cases.
        warmup: whether to add requests that a server runs before it accepts others;
            needs tensorflow-serving-api.
        normalized_boxes: whether "detection_boxes" are fractions, 0..1, of the photo's
            height and width instead of pixels.
        with_xyxy: whether to add a fourth signature, "xyxy", which takes encoded photos
            and returns what `detect` does: boxes x1, y1, x2, y2 and labels.
        max_pixels: photos with more pixels are not decoded.
        max_photos: only so many photos of a request are decoded.

    Returns:
        pathlib.Path of the version's folder.

    Raises:
        ValueError: the backend is not TensorFlow; the directory has the suffix of
            another format; the version is not a new number; a limit is below 1; the
            model has an output that cannot be served yet.
        ImportError: warmup without tensorflow-serving-api.
        OSError: a file cannot be written, such as to a full disk; nothing is left.
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
        # A server has no use for RoIAlign's gradient.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        try:
            tf.saved_model.save(
                served.module, str(folder), signatures=functions, options=options
            )
        except tf.errors.OpError as error:  # of TensorFlow's own writing of files
            raise OSError(
                f"TensorFlow could not write the model: {error.message[-_EXCERPT:]}"
            ) from error
        extra = folder / "assets.extra"
        extra.mkdir()
        _write_classes(model.category_ids, model.class_names, extra / CLASSES)
        if model.stuff_set is not None:
            stuff = model.stuff_set
            _write_classes(stuff.ids, stuff.names, extra / STUFF)
        if warmup:
            from keras_fpn.serving.warmup_tensorflow import write_warmup

            # The name of the folder itself, also if `directory` is a link or ".".
            name = final.parent.resolve().name
            write_warmup(extra, name, list(functions), takes_proposals(model))
    return final


def check_export(
    directory: str | os.PathLike,
    version: int | None = None,
    warmup: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_photos: int = MAX_PHOTOS,
):
    """Raises what `export_saved_model` would for these arguments; writes nothing."""
    check_export_folder(directory)
    check_export_format(FORMAT)
    for name, value in (("max_pixels", max_pixels), ("max_photos", max_photos)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; received {name}={value}.")
    check_version(directory, version)
    if warmup:
        importlib.import_module("keras_fpn.serving.warmup_tensorflow")


def _write_classes(ids, names, path):
    """Writes the ids and names of classes as JSON."""
    classes = [
        {"id": number, "name": name} for number, name in zip(ids, names, strict=True)
    ]
    text = json.dumps(classes, indent=0, ensure_ascii=False) + "\n"
    path.write_text(printable(text), "utf-8")
