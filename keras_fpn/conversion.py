"""Turns a published checkpoint into a file of Keras."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_fpn.files import PathLike, replacing
from keras_fpn.models.checkpoints import foreign_loader, published_name, read_foreign
from keras_fpn.presets import from_preset, list_presets
from keras_fpn.weights import SHIPPED, fetch, get_checkpoint
from keras_fpn.weights.look_alikes import (
    TORCH,
    look_alikes,
    naming_look_alikes,
    presets_with,
    torch_layout,
)
from keras_fpn.weights.mapping import check_names, classes_in
from keras_fpn.weights.tensor_names import not_weights, publisher_of, weights_among

SUFFIXES = (".weights.h5", ".keras")
_KERAS = (".keras", ".h5")


@dataclass(frozen=True)
class Conversion:
    """What `convert_checkpoint` did.

    Attributes:
        preset: str, name of the architecture.
        recognized_by: str, "its hash", "the names and shapes of its tensors" or "the
            caller".
        num_classes: int, K.
        tensors: int, tensors of the source that were used.
        numbers: int, numbers in these.
        unused_numbers: int, those among them that belong to the background's box and
            mask, which do not exist here.
        left_out: dict of the other tensors' names -> reason.
        path: Path of the file that was written.
        size: int, its bytes.
        seconds: float, time it took, a download included.
    """

    preset: str
    recognized_by: str
    num_classes: int
    tensors: int
    numbers: int
    unused_numbers: int
    left_out: dict[str, str]
    path: Path
    size: int
    seconds: float


def convert_checkpoint(source: PathLike, target: PathLike, preset: str | None = None):
    """Writes the weights of a torchvision or detectron2 file as a file of Keras.

    The architecture is that of the preset whose hash the file has, or else of the one
    whose tensors have the same names and shapes; the number of classes may differ.

    Args:
        source: str or path-like of a .pth, .pt or .pkl file, which is read without
            running anything in it; or the name of a preset, whose file is downloaded.
        target: str or path-like, ends in ".weights.h5" for the weights alone or in
            ".keras" for the whole detector. It is written under another name first.
        preset: str, name of the architecture; needed only if several presets that
            differ in their settings have the same tensors.

    Returns:
        `Conversion`.

    Raises:
        ValueError: the source or the target is of another kind, the source is of no
            preset or of several, or does not fit the one that was named.
        OSError: the target cannot be written.
    """
    started = time.perf_counter()
    target = Path(os.fspath(target))
    if not target.name.endswith(SUFFIXES):
        raise ValueError(
            f"The target must end in one of {SUFFIXES}; received {str(target)!r}."
        )
    path = _file(source)
    tensors = read_foreign(path)
    if preset is not None:
        name, recognized_by = preset, "the caller"
    else:
        name, recognized_by = _recognized(path, tensors)
    publisher = publisher_of(tensors)
    weights = weights_among(tensors, publisher)
    model, slots = _filled(name, tensors, weights, publisher)
    _write(model, target)
    held = {slot.key: int(np.prod(slot.variable.shape)) for slot in slots}
    numbers = sum(np.size(tensor) for tensor in weights.values())
    return Conversion(
        preset=name,
        recognized_by=recognized_by,
        num_classes=len(model.class_names),
        tensors=len(weights),
        numbers=numbers,
        unused_numbers=numbers - sum(held.values()),
        left_out=not_weights(tensors, publisher),
        path=target,
        size=target.stat().st_size,
        seconds=time.perf_counter() - started,
    )


def _file(source):
    """Returns the path of the source; a preset's is downloaded if need be."""
    path = Path(os.fspath(source))
    if path.name.endswith(_KERAS) or str(source) in SHIPPED:
        raise ValueError(
            "The source must be a file of torchvision or detectron2; received "
            f"{str(source)!r}, which is Keras's already."
        )
    if not path.is_file() and str(source) in list_presets():
        return fetch(get_checkpoint(str(source)))
    return path


def _recognized(path, tensors):
    """Returns the name of a file's preset, and what it is recognized by.

    Raises:
        ValueError: there is none, or there are several with other settings.
    """
    presets = list_presets()
    name = published_name(path, presets)
    if name is not None:
        return name, "its hash"
    layout = torch_layout(tensors)
    names = presets_with(layout, TORCH)
    if not names:
        raise ValueError(
            f"The source must have the tensors of a preset; received {str(path)!r}. "
            f"{look_alikes(layout, TORCH)}"
        )
    if len({presets[name].parts for name in names}) > 1:
        raise ValueError(
            f"The source must be of one preset; received {str(path)!r}, whose tensors "
            f"are those of {names}, which differ in their settings. Name the preset."
        )
    return names[0], "the names and shapes of its tensors"


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


def _write(model, target):
    with replacing(target) as partial:
        if target.suffix == ".keras":
            model.save(partial)
            return
        # Keras insists on the whole suffix.
        whole = partial.with_suffix(SUFFIXES[0])
        try:
            model.save_weights(whole)
            whole.replace(partial)
        finally:
            whole.unlink(missing_ok=True)
