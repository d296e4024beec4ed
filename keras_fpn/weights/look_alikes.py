"""Which published models a file may be of, by the names and shapes of its tensors.

A layout is a summary of a file: for each module, how many tensors it has and how many
numbers these have in total. layouts.json has those of all presets, and is written by
scripts/zoo_page.py. Modules whose size depends on the number of classes have no total
there.
"""

import contextlib
import json
import math
from pathlib import Path

import numpy as np

from keras_fpn.weights.tensor_names import publisher_of, weights_among

LAYOUTS = Path(__file__).with_name("layouts.json")
TORCH, KERAS = "torch", "keras"  # kinds of files
_DEPTH = {TORCH: 3, KERAS: 2}  # parts of a name that name a module
_SEPARATOR = {TORCH: ".", KERAS: "/"}
_SHOWN = 4  # modules listed in an error
_NEAR = 0.5  # fraction of modules that near layouts have in common


def layout_of(shapes, kind):
    """Returns the layout, dict of module -> (tensors, numbers in them).

    Args:
        shapes: dict of a tensor's name -> shape.
        kind: `TORCH` or `KERAS`, whose names end in the tensor of a module.
    """
    layout: dict[str, tuple[int, int]] = {}
    for name, shape in shapes.items():
        module = module_of(name, kind)
        count, total = layout.get(module, (0, 0))
        layout[module] = count + 1, total + math.prod(shape)
    return layout


def torch_layout(tensors):
    """Returns the layout of a torch file or pickle, whoever published it.

    Args:
        tensors: dict of str -> array, as the file has them.
    """
    weights = weights_among(tensors, publisher_of(tensors))
    shapes = {name: np.shape(tensor) for name, tensor in weights.items()}
    return layout_of(shapes, TORCH)


def module_of(name, kind):
    """Returns the module of a tensor's name, as layouts have it, str."""
    separator = _SEPARATOR[kind]
    parts = name.split(separator)
    return separator.join(parts[:-1][: _DEPTH[kind]])


def presets_with(layout, kind):
    """Returns the names of the presets that have a layout, list of str.

    Architectures that differ only in settings, such as sizes of photos, have the same.
    """
    return [
        name
        for known in _layouts()
        if known[kind] and not _differing(layout, known[kind])
        for name in known["presets"]
    ]


def look_alikes(layout, kind):
    """Returns a sentence for an error: which presets a file is of, or is most like."""
    exact = presets_with(layout, kind)
    if exact:
        return (
            f"By their names and shapes, the tensors are those of the presets {exact}: "
            "build the model by keras_fpn.from_preset(name)."
        )
    known = [one for one in _layouts() if one[kind]]
    best = min(known, key=lambda one: len(_differing(layout, one[kind])))
    differing = _differing(layout, best[kind])
    if len(differing) > _NEAR * len(layout.keys() | best[kind].keys()):
        return "By their names and shapes, the tensors are those of no preset."
    more = "" if len(differing) <= _SHOWN else f" and {len(differing) - _SHOWN} more"
    return (
        f"The tensors are most like those of the presets {best['presets']}; these "
        f"modules are missing, surplus or of another size: {differing[:_SHOWN]}{more}."
    )


@contextlib.contextmanager
def naming_look_alikes(tensors):
    """Adds to the ValueErrors of a torch file of which presets its tensors may be.

    Args:
        tensors: dict of str -> array, as the file has them.
    """
    try:
        yield
    except ValueError as error:
        said = look_alikes(torch_layout(tensors), TORCH)
        raise ValueError(f"{error} {said}") from error


def _layouts():
    """Returns the layouts of all presets, list of dicts."""
    return json.loads(LAYOUTS.read_text("utf-8"))


def _differing(layout, known):
    """Returns the modules in which two layouts differ, sorted list of str."""
    return sorted(
        module
        for module in layout.keys() | known.keys()
        if not _same(layout.get(module), known.get(module))
    )


def _same(found, known):
    if found is None or known is None:
        return False
    (count, total), (known_count, known_total) = found, known
    return count == known_count and known_total in (None, total)
