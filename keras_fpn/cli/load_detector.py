"""The detector that a command line asks for."""

from pathlib import Path

from keras_fpn.cli.errors import CommandError, reported

DEFAULT_PRESET = "faster_rcnn_resnet50_fpn_coco"
PUBLISHED = "coco"
RANDOM = "random"


def add_detector_options(parser):
    """Adds --preset and --weights, the arguments of `load_detector`, to a parser."""
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="published model; `keras-fpn presets` lists them (default "
        f"{DEFAULT_PRESET})",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help=f"{PUBLISHED!r} (the default): the published weights, downloaded once; "
        f"{RANDOM!r}: random weights, to try a command without a download; a detector "
        "saved as .keras; or weights of the preset's architecture: .weights.h5, "
        "torchvision's .pth, or detectron2's .pkl or .pth",
    )


def load_detector(preset: str | None = None, weights: str | None = None):
    """Builds the detector that the command line asks for.

    Args:
        preset: a name of `keras_fpn.list_presets()`; None for that of a published
            file, otherwise for the default one.
        weights: path of a .keras, .pth, .pkl or .weights.h5 file, or "random"; None or
            "coco" for the published weights, which are downloaded once.

    Returns:
        the model; and a remark that pictures and reports must show, str, or None.

    Raises:
        CommandError: no such preset or file, or one that does not fit.
    """
    import keras_fpn

    name = preset or DEFAULT_PRESET
    failed = f"{weights or name} could not be read: "
    with reported(ValueError), reported(OSError, code=1, prefix=failed):
        if weights in (None, PUBLISHED):
            return keras_fpn.from_preset(name), None
        if weights == RANDOM:
            model = keras_fpn.from_preset(name, load_weights=False)
            keras_fpn.weights.fill_with_formula(model)
            return model, f"Random weights: {name}"
        return _load_file(preset, Path(weights)), None


def _load_file(preset, path):
    """Returns a saved detector, or a preset with the file's weights."""
    import keras_fpn
    from keras_fpn.models.checkpoints import published_name
    from keras_fpn.weights.keras_files import load_weights_file

    if not path.is_file():
        raise CommandError(
            f"--weights must be {PUBLISHED!r}, {RANDOM!r} or an existing file; "
            f"received --weights {path}."
        )
    if path.suffix == ".keras":
        return _load_saved(preset, path)
    known = preset or published_name(path, keras_fpn.list_presets())
    name = known or DEFAULT_PRESET
    guess = f"{path} must have the weights of {name}, or --preset must name another: "
    model = keras_fpn.from_preset(name, load_weights=False)
    with reported(ValueError, prefix="" if known else guess):
        if path.suffix == ".h5":
            load_weights_file(model, path)
        elif path.suffix == ".pkl" or "detectron2" in name:
            keras_fpn.weights.load_detectron2(model, path)
        else:
            keras_fpn.weights.load_torchvision(model, path)
    return model


def _load_saved(preset, path):
    """Returns the detector of a .keras file."""
    if preset is not None:
        raise CommandError(
            "A .keras file has its own architecture; received --weights "
            f"{path} with --preset {preset}. Leave out --preset."
        )
    from keras_fpn.models.checkpoints import load_keras_file

    return load_keras_file(path)
