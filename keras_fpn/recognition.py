"""Builds the detector whose weights are in a file that does not say which it is."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_fpn.files import PathLike
from keras_fpn.models.checkpoints import foreign_loader, published_name, read_foreign
from keras_fpn.models.detector import Detector
from keras_fpn.presets import from_preset, list_presets
from keras_fpn.weights.keras_files import load_weights_file, weight_shapes
from keras_fpn.weights.look_alikes import (
    KERAS,
    TORCH,
    layout_of,
    look_alikes,
    naming_look_alikes,
    presets_with,
    torch_layout,
)
from keras_fpn.weights.mapping import check_names, classes_in
from keras_fpn.weights.tensor_names import not_weights, publisher_of, weights_among


@dataclass(frozen=True)
class Recognized:
    """The detector in a file of torchvision or detectron2.

    Attributes:
        model: `Detector` with the file's weights and number of classes.
        preset: str, name of the architecture.
        by: str, "its hash", "the names and shapes of its tensors" or "the caller".
        tensors: int, tensors of the file that were used.
        numbers: int, numbers in these.
        unused_numbers: int, those among them that belong to the background's box and
            mask, which do not exist here.
        left_out: dict of the other tensors' names -> reason.
    """

    model: Detector
    preset: str
    by: str
    tensors: int
    numbers: int
    unused_numbers: int
    left_out: dict[str, str]


def recognized(path: PathLike, preset: str | None = None):
    """Returns the detector whose weights a file of torchvision or detectron2 has.

    The architecture is that of the preset whose hash the file has, or else of the one
    whose tensors have the same names and shapes; the number of classes may differ.

    Args:
        path: str or path-like of a .pth, .pt or .pkl file, which is read without
            running anything in it.
        preset: str, name of the architecture; needed only if several presets that
            differ in their settings have the same tensors.

    Returns:
        `Recognized`.

    Raises:
        ValueError: the file cannot be read, is of no preset or of several, or does not
            fit the one that was named.
    """
    path = Path(os.fspath(path))
    tensors = read_foreign(path)
    by = "the caller"
    if preset is None:
        preset, by = _preset_of(path, tensors)
    publisher = publisher_of(tensors)
    weights = weights_among(tensors, publisher)
    model, slots = _filled(preset, tensors, weights, publisher)
    numbers = sum(np.size(tensor) for tensor in weights.values())
    held = sum(int(np.prod(slot.variable.shape)) for slot in slots)
    return Recognized(
        model=model,
        preset=preset,
        by=by,
        tensors=len(weights),
        numbers=numbers,
        unused_numbers=numbers - held,
        left_out=not_weights(tensors, publisher),
    )


def recognized_keras(path: PathLike, preset: str | None = None):
    """Returns the detector whose weights a .weights.h5 file has.

    Args:
        path: str or path-like.
        preset: as in `recognized`.

    Returns:
        `Detector`.

    Raises:
        ValueError: as in `recognized`, or its classes are not as many as the preset's.
    """
    if preset is None:
        layout = layout_of(weight_shapes(path), KERAS)
        preset = _only_preset(Path(os.fspath(path)), layout, KERAS)
    model = from_preset(preset, load_weights=False)
    load_weights_file(model, path)
    return model


def _preset_of(path, tensors):
    """Returns the name of a file's preset, and what it is recognized by."""
    name = published_name(path, list_presets())
    if name is not None:
        return name, "its hash"
    name = _only_preset(path, torch_layout(tensors), TORCH)
    return name, "the names and shapes of its tensors"


def _only_preset(path, layout, kind):
    """Returns the name of the preset with a layout.

    Raises:
        ValueError: there is none, or there are several with other settings.
    """
    presets, names = list_presets(), presets_with(layout, kind)
    if not names:
        raise ValueError(
            f"The file must have the tensors of a preset; received {str(path)!r}. "
            f"{look_alikes(layout, kind)}"
        )
    if len({presets[name].parts for name in names}) > 1:
        raise ValueError(
            f"The file must be of one preset; received {str(path)!r}, whose tensors "
            f"are those of {names}, which differ in their settings. Name one by "
            "`preset`."
        )
    return names[0]


def _filled(name, tensors, weights, publisher):
    """Returns a preset with the tensors' weights and classes, and its slots."""
    slots_of, load = foreign_loader(publisher)
    model = from_preset(name, load_weights=False)
    with naming_look_alikes(tensors):
        slots = slots_of(model)
        check_names(slots, weights)
    count = classes_in(model, slots, weights)
    if count not in (None, len(model.class_names)):
        model = from_preset(name, load_weights=False, num_classes=count)
        slots = slots_of(model)
    load(model, tensors)
    return model, slots
