"""Turns a published checkpoint into a file of Keras."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from keras_fpn.files import PathLike, replacing
from keras_fpn.presets import list_presets
from keras_fpn.recognition import Recognized, recognized
from keras_fpn.weights import SHIPPED, fetch, get_checkpoint

SUFFIXES = (".weights.h5", ".keras")
_KERAS = (".keras", ".h5")


@dataclass(frozen=True)
class Conversion:
    """What `convert_checkpoint` did.

    Attributes:
        source: `Recognized`, what was in the file.
        path: Path of the file that was written.
        size: int, its bytes.
        seconds: float, time it took, a download included.
    """

    source: Recognized
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
    found = recognized(_file(source), preset)
    _write(found.model, target)
    return Conversion(
        found, target, target.stat().st_size, time.perf_counter() - started
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
