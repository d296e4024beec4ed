"""All published checkpoints by name."""

import difflib

from keras_fpn.weights.checkpoint import Checkpoint
from keras_fpn.weights.detectron2_files import DETECTRON2
from keras_fpn.weights.torchvision_files import TORCHVISION

CHECKPOINTS = {
    checkpoint.name: checkpoint for checkpoint in [*TORCHVISION, *DETECTRON2]
}


def get_checkpoint(name: str) -> Checkpoint:
    """Returns the `Checkpoint` with a name.

    Raises:
        ValueError: there is none; the error lists the near names.
    """
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    raise ValueError(
        f"name must be a published checkpoint; received name={name!r}. "
        f"{known_names(name, CHECKPOINTS)}"
    )


def known_names(name, names) -> str:
    """Returns the end of an error message: the names most like an unknown one.

    Args:
        name: what was received.
        names: collection of str, all names; listed if none is like `name`.
    """
    return near_names(name, names) or f"Names: {sorted(names)}."


def near_names(name, names) -> str:
    """Returns a sentence with the names most like an unknown one, or "".

    Args:
        name, names: as of `known_names`.
    """
    near = difflib.get_close_matches(str(name), names, 3, 0.4)
    return f"Near names: {near}." if near else ""
