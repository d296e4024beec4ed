"""Loads a detector from wherever it was saved."""

import os
from pathlib import Path

from keras_fpn.files import HUB, similar_path
from keras_fpn.models.checkpoints import load_keras_file, load_keras_folder
from keras_fpn.presets import from_preset, list_presets
from keras_fpn.weights.registry import near_names

# What a training leaves in its folder, the better first.
BEST, LAST = "best.keras", "last.keras"


def load(source: str | os.PathLike):
    """Returns a detector that was saved, trained or published, ready for `detect`.

    Args:
        source: what `model.save` wrote, NAME.keras, or a folder with `zipped=False`,
            which is what the Hugging Face Hub stores; the folder of a training, of
            which best.keras is taken, or last.keras if no epoch was measured; the name
            of a preset, str, see `keras_fpn.list_presets`, whose weights are downloaded
            once; or "hf://USER/MODEL", a model that Keras saved to the Hugging Face
            Hub, which needs the package huggingface_hub.

    Returns:
        the model, such as `keras_fpn.models.FasterRCNN`.

    Raises:
        ValueError: it is none of these, or is damaged, or holds another kind of model.
        ImportError: huggingface_hub is needed and not installed.
        OSError: a file cannot be read or downloaded.
    """
    presets = list_presets()
    if isinstance(source, str):
        if source.startswith(HUB):
            return load_keras_folder(_downloaded(source), source)
        if source in presets:
            return from_preset(source)
    path = Path(source)
    if (path / "config.json").is_file():  # a file of Keras's that was unpacked
        return load_keras_folder(path, str(path))
    if path.is_dir():
        path = result_of(path)
    if path.is_file() and path.suffix == ".keras":
        return load_keras_file(path)
    if path.is_file():
        raise ValueError(
            "A detector must be a .keras file, which holds its architecture; received "
            f"{path}. Weights alone: build the model, such as by "
            f"keras_fpn.models.faster_rcnn_fpn(weights={str(path)!r})."
        )
    raise ValueError(
        "A detector must be an existing .keras file, the folder of a training, the "
        f"name of a preset or {HUB}USER/MODEL; received {str(source)!r}, which is "
        f"neither a file, a folder nor a preset.{_meant(path, presets)}"
    )


def _meant(path, presets):
    """Returns sentences that begin with a space: what a wrong source may stand for."""
    near = "" if path.suffix else near_names(str(path), presets)
    near = similar_path(path) or (near and f" {near}")
    return near or " keras_fpn.list_presets() has the names of presets."


def _downloaded(source):
    """Returns the Path of the folder of a model of the Hugging Face Hub."""
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise ImportError(
            f"A model of the Hugging Face Hub must be downloaded by huggingface_hub; "
            f"received {source!r}, and it is not installed. Run pip install "
            "huggingface_hub."
        ) from error
    return Path(snapshot_download(source.removeprefix(HUB), library_name="keras_fpn"))


def is_trained(folder: Path):
    """Returns whether a folder has a detector that a training left."""
    return any((folder / name).is_file() for name in (BEST, LAST))


def name_of(path: Path):
    """Returns what to call a detector, str: the name of its file, or of its training.

    Args:
        path: `Path` of a file, of the folder of a training, or a preset's name.
    """
    path = path.parent if path.name in (BEST, LAST) else path
    path = path if path.name else path.resolve()  # the present folder
    return path.stem if path.suffix == ".keras" else path.name


def result_of(folder: Path):
    """Returns the Path of the detector that a training left in its folder.

    Raises:
        ValueError: there is none.
    """
    for name in (BEST, LAST):
        if (folder / name).is_file():
            return folder / name
    kind = "has neither"
    if (folder / "saved_model.pb").is_file():
        kind = "is a SavedModel, for servers"
    elif checkpoints := sorted(folder.glob("checkpoint-*.keras")):
        kind = f"has not ended; {checkpoints[-1].name} can be loaded as a file"
    raise ValueError(
        f"The folder of a training must hold {BEST} or {LAST}; received {folder}, "
        f"which {kind}."
    )
