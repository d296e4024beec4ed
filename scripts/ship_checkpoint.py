"""Makes the file of a trained detector small enough to be part of the package.

    python scripts/ship_checkpoint.py runs/scenes/best.keras NAME.keras

The result computes in float32, whatever precision the detector was trained in. It has
no optimizer and stores its weights in float16, which takes half the bytes. Prints its
size and its SHA-256.
"""

import argparse
import hashlib
import io
import json
import pathlib
import sys
import zipfile

import h5py
import keras
import numpy as np

import keras_fpn  # registers the layers
from keras_fpn.files import replacing

WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
_STAMP = (2020, 1, 1, 0, 0, 0)  # a fixed date, so that equal weights give equal files


def in_float32(text: str):
    """Returns a model's JSON with every dtype policy replaced by float32."""

    def visit(node):
        if isinstance(node, dict):
            if node.get("class_name") == "DTypePolicy":
                return {**node, "config": {"name": "float32"}}
            return {key: visit(value) for key, value in node.items()}
        return [visit(value) for value in node] if isinstance(node, list) else node

    config = visit(json.loads(text))
    config["compile_config"] = None
    return json.dumps(config)


def in_float16(data: bytes):
    """Returns an HDF5 file with its float32 arrays converted to float16, as bytes."""
    target = io.BytesIO()
    with (
        h5py.File(io.BytesIO(data), "r") as source,
        h5py.File(target, "w", track_order=False) as slim,
    ):

        def copy(name, node):
            if name.split("/")[0] == "optimizer":
                return
            if isinstance(node, h5py.Group):
                slim.require_group(name).attrs.update(node.attrs)
                return
            values = node[()]
            if values.dtype == np.float32:
                values = values.astype(np.float16)
            slim.create_dataset(name, data=values, track_times=False)

        source.visititems(copy)
    return target.getvalue()


def slim_file(source: pathlib.Path, target: pathlib.Path):
    """Writes a smaller copy of a .keras file."""
    with (
        zipfile.ZipFile(source) as full,
        replacing(target) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as slim,
    ):
        for name in sorted(full.namelist()):
            data = full.read(name)
            if name == WEIGHTS:
                data = in_float16(data)
            if name == CONFIG:
                data = in_float32(data.decode()).encode()
            if name == "metadata.json":
                keras_version = json.loads(data)["keras_version"]
                data = json.dumps({"keras_version": keras_version}).encode()
            slim.writestr(zipfile.ZipInfo(name, _STAMP), data)


def main(argv: list[str] | None = None):
    """Writes the file; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path, help="a trained .keras file")
    parser.add_argument("target", type=pathlib.Path, help="the .keras file to write")
    arguments = parser.parse_args(argv)
    slim_file(arguments.source, arguments.target)
    model = keras.models.load_model(arguments.target)
    if not isinstance(model, keras_fpn.models.Detector):
        raise SystemExit(
            f"The source must be a detector of keras_fpn; received {arguments.source}."
        )
    data = arguments.target.read_bytes()
    print(f"{len(data) / 2**20:.2f} MiB, sha256 {hashlib.sha256(data).hexdigest()}")
    print(f"{model.count_params()} parameters, {list(model.class_names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
