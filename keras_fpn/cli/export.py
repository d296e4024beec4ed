"""`keras-fpn export`: a detector as a SavedModel, which TensorFlow Serving loads."""

import contextlib

from keras_fpn.cli import existing
from keras_fpn.cli.errors import CommandError, reported
from keras_fpn.cli.load_detector import RANDOM, is_detector, load_detector
from keras_fpn.cli.options import COUNT, FLAG, add_options


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "export",
        help="write a SavedModel for TensorFlow Serving",
        description="Writes a detector as a SavedModel, DIR/VERSION/saved_model.pb. It "
        "takes encoded photos and returns boxes in each photo's own pixels.",
    )
    add = parser.add_argument
    add(
        "model",
        metavar="PRESET|FILE",
        type=existing.path_or_name,
        help="published model, .keras file, folder of a training, or hf://USER/MODEL",
    )
    add("directory", metavar="DIR", help="folder of the model's versions")
    add(
        "--weights",
        metavar="FILE",
        type=existing.path_or_name,
        help="weights of the preset's architecture: .pth, .pkl, .weights.h5 or "
        f"{RANDOM!r} (default: the published weights)",
    )
    flags = {
        "--frozen": "store the weights in the graph instead of in separate files",
        "--warmup": "add requests for a server to run before it accepts others; needs "
        "tensorflow-serving-api",
        "--normalized-boxes": "return boxes as fractions of height and width instead "
        "of pixels",
        "--xyxy": "add a signature 'xyxy' that returns boxes x1, y1, x2, y2 and labels",
    }
    counts = {
        "--version": "number of the version (default: the next)",
        "--max-pixels": "do not decode photos with more than N pixels (default: 64 "
        "million)",
        "--max-photos": "decode only the first N photos of a request (default: 8)",
    }
    add_options(parser, flags, **FLAG)
    add_options(parser, counts, **COUNT)
    return parser


def run(arguments):
    """Exports as the command line asks; returns the exit code."""
    from keras_fpn.export import check_export, export_saved_model

    limits = {
        name: value
        for name in ("max_pixels", "max_photos")
        if (value := getattr(arguments, name)) is not None
    }
    asked = {"version": arguments.version, "warmup": arguments.warmup, **limits}
    with _as_command_errors(arguments.directory):
        check_export(arguments.directory, **asked)  # before the model is downloaded
    model = _load(arguments.model, arguments.weights)
    with _as_command_errors(arguments.directory):
        folder = export_saved_model(
            model,
            arguments.directory,
            frozen=arguments.frozen,
            normalized_boxes=arguments.normalized_boxes,
            with_xyxy=arguments.xyxy,
            **asked,
        )
    print(folder)
    return 0


@contextlib.contextmanager
def _as_command_errors(directory):
    failed = f"{directory} could not be written: "
    with reported(ValueError, ImportError), reported(OSError, code=1, prefix=failed):
        yield


def _load(name, weights):
    """Returns the detector of a preset, or a saved one."""
    import keras_fpn

    if name in keras_fpn.list_presets() or not is_detector(name):
        return load_detector(name, weights)[0]
    if weights is not None:
        raise CommandError(
            "A saved detector has its own weights; received --weights "
            f"{weights} with {name}. Leave out --weights."
        )
    return load_detector(None, name)[0]
