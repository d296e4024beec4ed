"""The detector that a command line asks for."""

from pathlib import Path

from keras_fpn.cli import existing
from keras_fpn.cli.errors import CommandError, reported
from keras_fpn.files import HUB

DEFAULT_PRESET = "faster_rcnn_resnet50_fpn_coco"
PUBLISHED = "coco"
RANDOM = "random"
_PRESET = {"preset": "--preset"}  # as `keras_fpn.recognition` names it


def add_detector_options(parser):
    """Adds --preset and --weights, the arguments of `load_detector`, to a parser."""
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="published model; `keras-fpn presets` lists them (default "
        f"{DEFAULT_PRESET}, or what the file of --weights is recognized as)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=existing.path_or_name,
        help=f"{PUBLISHED!r} (the default): the published weights, downloaded once; "
        f"{RANDOM!r}: random weights, to try a command without a download; a detector: "
        "a .keras file, the folder of a training, or hf://USER/MODEL; or weights of "
        "a preset's architecture: .weights.h5, torchvision's .pth, or detectron2's "
        ".pkl or .pth",
    )


def load_detector(preset: str | None = None, weights: str | None = None):
    """Builds the detector that the command line asks for.

    Args:
        preset: a name of `keras_fpn.list_presets()`; None for the architecture of
            the file, or for the default one without a file.
        weights: what `keras_fpn.load` takes; path of a .pth, .pkl or .weights.h5 file;
            or "random"; None or "coco" for the published weights, which are downloaded
            once.

    Returns:
        the model; and a remark that pictures and reports must show, str, or None.

    Raises:
        CommandError: no such preset or file, or one that does not fit.
    """
    import keras_fpn

    name = preset or DEFAULT_PRESET
    failed = f"{weights or name} could not be read: "
    errors = reported(ValueError, ImportError)
    with errors, reported(OSError, code=1, prefix=failed):
        if weights in (None, PUBLISHED):
            return keras_fpn.from_preset(name), None
        if weights == RANDOM:
            model = keras_fpn.from_preset(name, load_weights=False)
            keras_fpn.weights.fill_with_formula(model)
            return model, f"Random weights: {name}"
        if is_detector(weights):
            return _load_detector(preset, weights), None
        return _load_weights(preset, Path(weights)), None


def is_detector(weights: str):
    """Returns whether this is for `keras_fpn.load`, and not weights alone."""
    from keras_fpn.presets import list_presets

    path = Path(weights)
    return (
        path.suffix == ".keras"
        or path.is_dir()
        or weights.startswith(HUB)
        or weights in list_presets()
    )


def _load_detector(preset, weights):
    """Returns a detector with its own architecture."""
    import keras_fpn

    if preset is not None:
        raise CommandError(
            "A detector has its own architecture; received --weights "
            f"{weights} with --preset {preset}. Leave out --preset."
        )
    return keras_fpn.load(weights)


def _load_weights(preset, path):
    """Returns a preset with a file's weights and its number of classes."""
    from keras_fpn.recognition import recognized, recognized_keras

    if not path.is_file():
        raise CommandError(
            f"--weights must be {PUBLISHED!r}, {RANDOM!r}, or an existing file or "
            f"folder; received --weights {path}."
        )
    with reported(ValueError, options=_PRESET):
        if path.suffix == ".h5":
            return recognized_keras(path, preset)
        return recognized(path, preset).model
