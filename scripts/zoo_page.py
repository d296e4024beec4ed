"""Writes what is counted of every preset: the tables of zoo/README.md, and layouts.

    python scripts/zoo_page.py

Builds each architecture once, with random weights, which takes two minutes. The tables
replace those between the two comments in zoo/README.md. keras_fpn/weights/layouts.json
summarizes the tensors in a file of each preset; errors about files of another model
read it.
"""

import argparse
import json
import math
import pathlib
import sys
import tempfile
from dataclasses import dataclass
from unittest import mock

import h5py
import keras

import keras_fpn
from keras_fpn.files import write_text
from keras_fpn.weights.detectron2 import detectron2_slots
from keras_fpn.weights.keras_files import weight_shapes
from keras_fpn.weights.look_alikes import (
    KERAS,
    LAYOUTS,
    TORCH,
    layout_of,
    module_of,
)
from keras_fpn.weights.shipped import ShippedCheckpoint
from keras_fpn.weights.torchvision import torchvision_slots

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "zoo" / "README.md"
BEGIN = "<!-- written by scripts/zoo_page.py -->"
END = "<!-- end of what scripts/zoo_page.py writes -->"

_ROIS = 1000  # proposals that are given to a detector without an RPN
_STRIDE = 32  # photos are padded to a multiple
_ASPECT = 1.5  # of photos
_LAYERS = {
    "frozen_batch": "frozen batch norms",
    "batch": "batch norms",
    "group": "group norms",
    None: "no norms",
}
_FIRST = (
    "preset",
    "architecture",
    "parameters",
    "multiply-adds",
    "published",
    "measured by us",
)
_SECOND = ("preset", "file", "MB", "published by, or recipe", "license")
# Recipes of ours for what others publish.
_RECIPES = {"faster_rcnn_resnet50_fpn_coco": "faster_rcnn_resnet50_fpn_torchvision"}


@dataclass(frozen=True)
class Counted:
    """What is found by building an architecture.

    Attributes:
        description: str, its class, backbone and levels.
        parameters: int, weights that training may change.
        size: (height, width) of the padded photo, pixels.
        multiply_adds: int, for that photo.
        layouts: dict of kind of file -> module -> [tensors, numbers], see
            `keras_fpn.weights.look_alikes`.
    """

    description: str
    parameters: int
    size: tuple[int, int]
    multiply_adds: int
    layouts: dict[str, dict]


def parameters_of(model):
    """Returns the number of weights that training may change, int.

    It does not include the statistics of batch norms, nor the scales and offsets of
    frozen ones: they are not parameters in torchvision and detectron2 either.
    """
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def multiply_adds_of(model, size):
    """Returns the multiply-adds of a detection, int.

    They are counted while the graph is called with shapes alone, for every layer that
    has a kernel: convolutions, deformable ones, transposed ones and fully connected
    layers. Each number in a kernel is used once per cell of the output, or of the input
    of a transposed convolution. There are as many objects and proposals as can be.

    Args:
        model: `keras_fpn.models.Detector`.
        size: (height, width) of the photo, pixels.
    """
    shapes = {"images": (*size, 3), "image_sizes": (2,)}
    shapes |= {
        name: tuple(side or _ROIS for side in shape)
        for name, shape in model.extra_inputs.items()
    }
    inputs = {
        k: keras.KerasTensor((1, *shape), "float32") for k, shape in shapes.items()
    }
    objects = model.final_part().max_detections
    counts = []
    call = keras.Layer.__call__

    def counting(layer, *args, **kwargs):
        outputs = call(layer, *args, **kwargs)
        if hasattr(layer, "kernel"):
            turned = isinstance(layer, keras.layers.Conv2DTranspose)
            *cells, _ = (args[0] if turned else outputs).shape
            # Only the heads on found objects do not know how many these are.
            cells = (objects if side is None else side for side in cells)
            counts.append(math.prod(cells) * math.prod(layer.kernel.shape))
        return outputs

    with mock.patch.object(keras.Layer, "__call__", counting):
        _Called(model)(inputs)
    return sum(counts)


class _Called(keras.Layer):
    """Calls a model by its layers, not by their rules for shapes alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, inputs):
        return self.model(inputs)


def size_of(preprocessing):
    """Returns (height, width) of a photo of 3:2, resized and padded, pixels."""
    longer = min(_ASPECT * preprocessing.min_size, preprocessing.max_size)
    sides = (preprocessing.min_size, longer)
    height, width = (_STRIDE * math.ceil(side / _STRIDE) for side in sides)
    return height, width


def description_of(model):
    """Returns the class, the backbone with its norms, and the levels of a model."""
    norms = {getattr(layer, "norm", None) for layer in model.backbone.layers} - {None}
    [norm] = norms or {None}
    maps = [value for value in model.trunk.output.values() if isinstance(value, dict)]
    levels = sorted({level for found in maps for level in found if level[0] == "P"})
    aligned = ", FaPN" if "FeatureSelection" in _kinds(model.neck) else ""
    return (
        f"{type(model).__name__}: {model.backbone.name}, {_LAYERS[norm]}; "
        f"{levels[0]}..{levels[-1]}{aligned}"
    )


def _kinds(neck):
    return {type(layer).__name__ for layer in neck._flatten_layers()}


def layouts_of(model, name):
    """Returns the layouts of a preset's files, dict of kind -> module -> [n, total].

    Args:
        model: the preset, built.
        name: str, of the preset; shipped ones have no torch file.
    """
    of_classes = {columns.layer.name for columns in model.parts.class_columns()}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.weights.h5")
        model.save_weights(path)
        shapes = weight_shapes(path)
        with h5py.File(path) as file:
            layers = {key: file[key].parent.attrs.get("name") for key in shapes}
    varying = {
        module_of(key, KERAS) for key, layer in layers.items() if layer in of_classes
    }
    found = {KERAS: _without_totals(layout_of(shapes, KERAS), varying), TORCH: {}}
    if name not in keras_fpn.weights.SHIPPED:
        slots_of = detectron2_slots if "detectron2" in name else torchvision_slots
        ids = {id(w) for c in model.parts.class_columns() for w in c.layer.weights}
        slots = {slot.key: slot.variable for slot in slots_of(model)}
        varying = {module_of(k, TORCH) for k, v in slots.items() if id(v) in ids}
        shapes = {key: variable.shape for key, variable in slots.items()}
        found[TORCH] = _without_totals(layout_of(shapes, TORCH), varying)
    return found


def _without_totals(layout, modules):
    return {
        module: [count, None if module in modules else total]
        for module, (count, total) in sorted(layout.items())
    }


def counted(name):
    """Returns `Counted` of a preset, by building it."""
    model = keras_fpn.from_preset(name, load_weights=False)
    size = size_of(model.preprocessing)
    return Counted(
        description_of(model),
        parameters_of(model),
        size,
        multiply_adds_of(model, size),
        layouts_of(model, name),
    )


def count_all():
    """Returns preset -> `Counted`; presets of one architecture are built once."""
    presets, found, built = keras_fpn.list_presets(), {}, {}
    for name, preset in presets.items():
        checkpoint = preset.checkpoint
        key = (preset.builder, preset.parts, checkpoint.class_names)
        if key not in built:
            built[key] = counted(name)
        found[name] = built[key]
    return found


def tables(counts):
    """Returns the generated part of the page, Markdown.

    Args:
        counts: preset -> `Counted`.
    """
    presets = keras_fpn.list_presets()
    licenses = list(dict.fromkeys(p.checkpoint.license for p in presets.values()))
    first, second = [_FIRST], [_SECOND]
    for name, preset in presets.items():
        one, checkpoint = counts[name], preset.checkpoint
        height, width = one.size
        first.append(
            (
                f"`{name}`",
                one.description,
                f"{one.parameters / 1e6:.2f} M",
                f"{one.multiply_adds / 1e9:.1f} G at {height}x{width}",
                *_results(preset),
            )
        )
        terms = str(licenses.index(checkpoint.license) + 1)
        second.append((f"`{name}`", *_file(checkpoint), terms))
    return "\n\n".join(
        [
            _markdown(first),
            "### Files, recipes and licenses",
            _markdown(second),
            "Licenses of the weights:",
            "\n".join(f"{n}. {text}" for n, text in enumerate(licenses, start=1)),
        ]
    )


def _results(preset):
    """Returns the result that others published, and the one that we measured."""
    text = "; ".join(
        f"{', '.join(f'{metric} {value}' for metric, value in found.items())}, {data}"
        for data, found in preset.metrics.items()
    )
    if isinstance(preset.checkpoint, ShippedCheckpoint):
        return "trained here", text
    return text, "not measured here"


def _file(checkpoint):
    """Returns a checkpoint's file, its size in units of 2**20 bytes, and its recipe."""
    size = "?" if checkpoint.size_mb is None else f"{checkpoint.size_mb:.1f}"
    name = checkpoint.name
    if isinstance(checkpoint, ShippedCheckpoint):
        return f"{name}.keras", size, _recipe(name)
    file = "not downloaded: a file of yours"
    if checkpoint.url is not None:
        file = f"[{checkpoint.url.rpartition('/')[2]}]({checkpoint.url})"
    ours = f"; {_recipe(_RECIPES[name])}" if name in _RECIPES else ""
    return file, size, f"{checkpoint.source}{ours}"


def _recipe(name):
    return f"[zoo/{name}.py]({name}.py)"


def _markdown(rows):
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def page(counts):
    """Returns the text of zoo/README.md with new tables.

    Args:
        counts: preset -> `Counted`.
    """
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(counts)}\n\n{END}{after}"


def layouts(counts):
    """Returns the text of layouts.json, one line for each kind of file.

    Args:
        counts: preset -> `Counted`.
    """
    groups = {}
    for name, one in counts.items():
        groups.setdefault(json.dumps(one.layouts, sort_keys=True), []).append(name)
    entries = []
    for text, names in groups.items():
        rows = {"presets": names, **json.loads(text)}
        lines = [f' "{key}": {json.dumps(value)}' for key, value in rows.items()]
        entries.append("{\n" + ",\n".join(lines) + "\n}")
    return "[\n" + ",\n".join(entries) + "\n]\n"


def main(argv: list[str] | None = None):
    """Writes both files; returns 0."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    counts = count_all()
    for path, text in ((PAGE, page(counts)), (LAYOUTS, layouts(counts))):
        write_text(path, text)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
