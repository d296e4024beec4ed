"""`keras-fpn export`: a detector as a SavedModel, which TensorFlow Serving loads."""

import contextlib
from pathlib import Path

from keras_fpn.cli.detect import count
from keras_fpn.cli.errors import CommandError, one_line
from keras_fpn.cli.load_detector import RANDOM, load_detector


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "export",
        help="write a SavedModel for TensorFlow Serving",
        description="Writes a detector as DIR/VERSION/saved_model.pb: encoded photos "
        "in, boxes in the photos' own pixels out.",
    )
    add = parser.add_argument
    add("model", metavar="PRESET|FILE", help="published model, or one saved as .keras")
    add("directory", metavar="DIR", help="the model's folder; versions go into it")
    add(
        "--weights",
        metavar="FILE",
        help=f"weights for the preset's architecture: .pth, .weights.h5 or {RANDOM!r} "
        "(default: the published ones)",
    )
    add("--version", metavar="N", type=count, help="number (default: the next one)")
    add(
        "--frozen",
        action="store_true",
        help="weights as constants in the graph, not in files of their own",
    )
    add(
        "--warmup",
        action="store_true",
        help="add requests that a server answers before it is ready; needs "
        "tensorflow-serving-api",
    )
    add(
        "--normalized-boxes",
        action="store_true",
        help="boxes as shares of the photo's sides, not in pixels",
    )
    add(
        "--xyxy",
        action="store_true",
        help="add a signature 'xyxy' with boxes x1, y1, x2, y2 and labels",
    )
    add(
        "--max-pixels",
        metavar="N",
        type=count,
        help="photos with more are not decoded (default: 64 million)",
    )
    add(
        "--max-photos",
        metavar="N",
        type=count,
        help="of a request, those after as many are not decoded (default: 8)",
    )
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
    try:
        yield
    except (ValueError, ImportError) as error:
        raise CommandError(one_line(error)) from error
    except OSError as error:
        message = f"{directory} could not be written: {one_line(error)}"
        raise CommandError(message, code=1) from error


def _load(name, weights):
    """Returns the detector of a .keras file, or of a preset with its weights."""
    if Path(name).suffix != ".keras":
        return load_detector(name, weights)[0]
    if weights is not None:
        raise CommandError(
            "A .keras file has its own weights; received --weights "
            f"{weights} with {name}. Leave out --weights."
        )
    if not Path(name).is_file():
        raise CommandError(f"The model must be a preset or a file; received {name}.")
    return load_detector(None, name)[0]
