"""`keras-fpn serve`: answers as TensorFlow Serving does, and shows a page."""

import argparse
import contextlib
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote

from keras_fpn.cli import existing
from keras_fpn.cli.errors import INTERRUPTED, reported
from keras_fpn.cli.input_photos import sample_photo
from keras_fpn.cli.load_detector import load_detector
from keras_fpn.cli.terminal import ended_by_sigterm

_SAMPLE_DETECTOR = "faster_rcnn_resnet18_fpn_scenes"
_LOOPBACK = ("127.", "localhost", "::1")


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "serve",
        help="try a detector in the browser; answer as TensorFlow Serving does",
        description="Serves a detector on this machine: a page that draws what it "
        "finds in a photo, and TensorFlow Serving's REST and gRPC interfaces.",
    )
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        metavar="MODEL",
        type=existing.path_or_name,
        default=_SAMPLE_DETECTOR,
        help="folder that `keras-fpn export` wrote, or one of its versions; or what is "
        "exported first: the folder of a training, a .keras file or a preset (default "
        "%(default)s, which comes with the package)",
    )
    add("--name", help="the model's name in addresses (default: its own)")
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0 lets other machines ask "
        "(default %(default)s, this machine alone)",
    )
    numbers = {  # least, most, default
        "--port": (0, 65535, 8501, "port of the page and of REST; 0 takes a free one"),
        "--grpc-port": (0, 65535, 8500, "port of gRPC; 0 takes a free one"),
        "--max-requests": (1, 1000, 32, "hold N requests at once, and refuse others"),
        "--max-megabytes": (1, 2047, 32, "refuse larger requests"),
        "--timeout": (1, 86400, 60, "answer within N seconds, or with an error"),
    }
    for name, (least, most, default, text) in numbers.items():
        kind, text = _integer(least, most), f"{text} (default %(default)s)"
        add(name, metavar="N", type=kind, default=default, help=text)
    return parser


def run(arguments):
    """Serves until it is interrupted; returns the exit code."""
    with reported(ImportError):
        import keras_fpn.serving.server_tensorflow  # noqa: F401 - before any work
    try:
        with ended_by_sigterm(), contextlib.ExitStack() as stack:
            _start(arguments, stack)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
            print("Stopping ...", file=sys.stderr, flush=True)
    except KeyboardInterrupt:  # before it could serve, or a second one
        return INTERRUPTED
    return 0


def _start(arguments, stack):
    """Serves from now on until the stack is closed."""
    from keras_fpn.serving.server_tensorflow import listen, serving

    with reported(ValueError), reported(OSError, code=1):
        listen(arguments.host, arguments.port).close()  # before anything is exported
        folder = _version_to_serve(arguments, stack)
        print(f"Loading {folder.name} ...", file=sys.stderr, flush=True)
        rest, grpc = stack.enter_context(
            serving(
                folder,
                arguments.host,
                arguments.port,
                arguments.grpc_port,
                _limits(arguments),
                _sample(arguments.model),
            )
        )
    _announce(folder, rest, grpc, arguments.host)


def _version_to_serve(arguments, stack):
    """Returns the `ModelFolder` that MODEL means; exports it first if needed."""
    from keras_fpn.loading import is_trained, name_of
    from keras_fpn.serving.model_folder import find_version

    path = Path(arguments.model)
    if path.is_dir() and not is_trained(path):
        return find_version(path, arguments.name)
    saved = path.is_dir() or path.suffix == ".keras"
    scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="keras_fpn_"))
    target = Path(scratch) / name_of(path)
    print(f"Exporting {path} ...", file=sys.stderr, flush=True)
    from keras_fpn.export import check_export, export_saved_model

    check_export(target)  # before the model is downloaded
    model, _ = load_detector(*((None, str(path)) if saved else (str(path), None)))
    export_saved_model(model, target)
    return find_version(target, arguments.name)


def _limits(arguments):
    """Returns the `Limits` that the options ask for."""
    from keras_fpn.serving.request_queue import Limits

    return Limits(
        request_bytes=arguments.max_megabytes << 20,
        requests=arguments.max_requests,
        seconds=arguments.timeout,
    )


def _sample(model):
    """Returns a photo in which a preset finds something; None if there is none."""
    from keras_fpn.weights import SHIPPED

    shipped = SHIPPED.get(model)
    if Path(model).is_dir() or Path(model).suffix == ".keras":
        return None
    return sample_photo(model) if shipped is None or shipped.sample else None


def _announce(folder, rest, grpc, host):
    """Prints where the server answers."""
    print(f"Serving {folder.name}, version {folder.version}")
    print(f"  page  {rest}/")
    print(f"  REST  {rest}/v1/models/{quote(folder.name)}:predict")
    print(f"  gRPC  grpc://{grpc}")
    if not host.startswith(_LOOPBACK):
        print("Other machines can send requests, which are not encrypted.")
    print("Ctrl-C stops it.", flush=True)


def _integer(least: int, most: int):
    """Returns what reads an int between two bounds from the command line."""

    def integer(text):
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"must be {least} to {most}; received {text}"
            )
        return value

    return integer
