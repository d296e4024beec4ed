"""Sends photos to a server and draws the objects that it finds.

    python scripts/serve_client.py photo.jpg --server http://localhost:8501 \
        --model detector --classes detector/1/assets.extra/classes.json
    python scripts/serve_client.py photo.jpg --server grpc://localhost:8500

Works with any server that understands TensorFlow Serving's messages. Models written by
`keras-fpn export` read JPEG and PNG and ignore EXIF: photos in other formats, and those
that EXIF rotates, are sent as upright PNGs. gRPC needs tensorflow-serving-api:
pip install 'keras-fpn[serving]'.
"""

import argparse
import base64
import http.client
import io
import json
import pathlib
import sys
import urllib.error
import urllib.request
import warnings

from PIL import ExifTags, Image

SCHEMES = ("http://", "https://", "grpc://")
FORMATS = ("JPEG", "PNG")
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # of JPEG and PNG, sent as they are
UPRIGHT = (None, 1)  # EXIF orientations that leave a photo as it is stored
OUTPUTS = {
    "detection_boxes",
    "detection_classes",
    "detection_scores",
    "num_detections",
    "status",
}
# Letters of an error message that are shown, from its end: servers may repeat the
# request before they say what was wrong.
MAX_ERROR = 500


def main(argv: list[str] | None = None):
    """Sends each photo that the command line names; returns the exit code."""
    if hasattr(sys.stdout, "reconfigure"):  # so that any name can be printed
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = parse(argv)
    from keras_fpn.report import picture_paths

    arguments.output.mkdir(parents=True, exist_ok=True)
    targets = picture_paths(arguments.photos, arguments.output)
    failed = 0
    for path, target in zip(arguments.photos, targets, strict=True):
        try:
            boxes = ask_and_draw(path, target, arguments)
        except (OSError, RuntimeError, ValueError) as error:
            print(f"{path}: {one_line(error)}", file=sys.stderr)
            failed += 1
        else:
            print(f"{path}: {boxes} boxes; picture: {target}")
    return 1 if failed else 0


def parse(argv):
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("photos", nargs="+", type=pathlib.Path, metavar="PHOTO", help="image file")
    add(
        "--server",
        type=address,
        default="http://localhost:8501",
        help="http://HOST:PORT or grpc://HOST:PORT (default %(default)s)",
    )
    add(
        "--model",
        metavar="NAME",
        default="detector",
        help="the model's name on the server (default %(default)s)",
    )
    add(
        "--classes",
        metavar="FILE",
        type=class_names,
        default={},
        help="classes.json of the exported model (default: show category ids)",
    )
    add(
        "--normalized-boxes",
        action="store_true",
        help="the model was exported with --normalized-boxes",
    )
    add(
        "--threshold",
        metavar="SCORE",
        type=float,
        default=0.5,
        help="draw boxes with a higher score, 0 to 1 (default %(default)s)",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=60.0,
        help="how long to wait for an answer (default %(default)s)",
    )
    add(
        "--output",
        metavar="DIR",
        type=pathlib.Path,
        default=pathlib.Path("out"),
        help="folder for the annotated pictures (default %(default)s)",
    )
    return parser.parse_args(argv)


def address(text):
    """Returns a server's address from the command line, without a trailing slash."""
    if not text.startswith(SCHEMES):
        starts = ", ".join(SCHEMES)
        raise argparse.ArgumentTypeError(
            f"must start with one of {starts}; received {text}"
        )
    return text.rstrip("/")


def ask_and_draw(path: pathlib.Path, target: pathlib.Path, arguments):
    """Sends one photo and saves its picture; returns the number of boxes.

    Args:
        path, target: of the photo and of its picture.
        arguments: what `parse` returned.

    Raises:
        OSError, RuntimeError, ValueError: no answer, or the photo could not be read.
    """
    from keras_fpn.preprocessing import read_photo

    photo = photo_bytes(path)
    ask = ask_grpc if arguments.server.startswith("grpc://") else ask_rest
    [answer] = ask(arguments.server, arguments.model, [photo], arguments.timeout)
    if answer["status"] != "ok":
        raise RuntimeError(answer["status"])
    found = above(answer, arguments.threshold)
    pixels = read_photo(Image.open(io.BytesIO(photo), formats=FORMATS))
    if arguments.normalized_boxes:
        height, width, _ = pixels.shape
        found["boxes"] = [
            [x1 * width, y1 * height, x2 * width, y2 * height]
            for x1, y1, x2, y2 in found["boxes"]
        ]
    draw(pixels, found, arguments.classes).save(target, quality=95)
    return len(found["scores"])


def photo_bytes(path: pathlib.Path):
    """Returns a photo's bytes as a server can read them: an upright JPEG or PNG.

    JPEG and PNG files are sent unchanged unless EXIF rotates them. Those, and other
    formats such as WebP or TIFF, are read by `keras_fpn.preprocessing.read_photo` and
    sent as PNG.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is not an image, or too large.
    """
    from keras_fpn.preprocessing import read_photo

    contents = path.read_bytes()
    if contents.startswith(STARTS) and is_upright(contents):
        return contents
    with warnings.catch_warnings():
        # These are about damaged metadata; damaged pixels raise.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        pixels = read_photo(path)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def is_upright(contents: bytes):
    """Returns whether EXIF does not rotate an image; False if EXIF is damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with Image.open(io.BytesIO(contents), formats=FORMATS) as image:
                return image.getexif().get(ExifTags.Base.Orientation) in UPRIGHT
        except Exception:  # Pillow raises many types for damaged metadata
            return False


def ask_rest(server: str, model: str, photos: list[bytes], timeout: float):
    """Sends photos by REST.

    Args:
        server: http://HOST:PORT.
        model: the model's name on the server.
        photos: JPEG or PNG files.
        timeout: seconds.

    Returns:
        list of one dict per photo: the outputs of the model, as lists.

    Raises:
        RuntimeError: the server returned an error, or something unexpected.
        OSError: it could not be reached.
    """
    rows = [{"b64": base64.b64encode(photo).decode()} for photo in photos]
    request = urllib.request.Request(
        f"{server}/v1/models/{model}:predict",
        json.dumps({"instances": rows}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            answers = json.load(reply)["predictions"]
    except urllib.error.HTTPError as error:
        with error:
            message = one_line(error.read().decode(errors="replace"))
        raise RuntimeError(f"{error.code}: {message[-MAX_ERROR:]}") from error
    except (ValueError, LookupError, TypeError, http.client.HTTPException) as error:
        raise RuntimeError(
            "The server must answer like TensorFlow Serving's REST interface; received "
            f"something else from {server}: {error!r}. Check the port of --server."
        ) from error
    return checked(answers)


def ask_grpc(server: str, model: str, photos: list[bytes], timeout: float):
    """Sends photos by gRPC, to grpc://HOST:PORT; otherwise like `ask_rest`."""
    try:
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise RuntimeError(
            f"gRPC needs tensorflow-serving-api ({error}). Install it: pip install "
            "'keras-fpn[serving]'"
        ) from error
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(photos, tf.string))
    # Photos of any size can be sent. gRPC limits an answer to 4 MB; that for one photo
    # has about 3 kB.
    with grpc.insecure_channel(server.removeprefix("grpc://")) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            reply = stub.Predict(request, timeout)
        except grpc.RpcError as error:
            message = one_line(error.details())
            raise RuntimeError(
                f"{error.code().name}: {message[-MAX_ERROR:]}"
            ) from error
    outputs = {name: tf.make_ndarray(v).tolist() for name, v in reply.outputs.items()}
    try:
        rows = zip(*outputs.values(), strict=True)
        answers = checked([dict(zip(outputs, row, strict=True)) for row in rows])
        return [{**answer, "status": answer["status"].decode()} for answer in answers]
    except (TypeError, AttributeError) as error:  # outputs of another kind of model
        raise RuntimeError(
            f"The model's outputs must have a row for each photo; received {error}. "
            "Serve a model that `keras-fpn export` wrote."
        ) from error


def checked(answers):
    """Returns a server's answers if they have the outputs of an exported detector.

    Raises:
        RuntimeError: they do not.
    """
    if not isinstance(answers, list) or not answers:
        raise RuntimeError(
            f"The model's answer must be a list; received {str(answers)[:MAX_ERROR]}."
        )
    for answer in answers:
        received = (
            sorted(answer) if isinstance(answer, dict) else str(answer)[:MAX_ERROR]
        )
        if not isinstance(answer, dict) or not OUTPUTS <= set(answer):
            raise RuntimeError(
                f"The model's answer must have {sorted(OUTPUTS)}; received {received}. "
                "Serve a model that `keras-fpn export` wrote."
            )
    return answers


def above(answer: dict, threshold: float):
    """Returns the detections in one photo with a score above the threshold.

    Args:
        answer: the model's outputs for the photo.
        threshold: 0..1.

    Returns:
        dict of lists: "boxes" xyxy, in pixels or fractions, as the model returns them;
        "ids", category ids; "scores".
    """
    best = range(int(answer["num_detections"]))
    kept = [i for i in best if answer["detection_scores"][i] > threshold]
    boxes = [answer["detection_boxes"][i] for i in kept]
    return {
        "boxes": [[left, top, right, bottom] for top, left, bottom, right in boxes],
        "ids": [int(answer["detection_classes"][i]) for i in kept],
        "scores": [answer["detection_scores"][i] for i in kept],
    }


def class_names(path: str):
    """Returns category id -> name of the classes.json on the command line."""
    try:
        classes = json.loads(pathlib.Path(path).read_text("utf-8"))
        return {item["id"]: item["name"] for item in classes}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise argparse.ArgumentTypeError(
            f"must be the classes.json of an exported model; received {path}: {error}"
        ) from error


def draw(pixels, found: dict, names: dict[int, str]):
    """Returns the photo with its boxes, `PIL.Image`.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        found: what `above` returned, with boxes in pixels.
        names: category id -> name.
    """
    from keras_fpn.visualize import draw_detections

    ids = sorted({*names, *found["ids"]})
    labels = [ids.index(number) for number in found["ids"]]
    shown = [names.get(number, f"category {number}") for number in ids]
    return draw_detections(pixels, found["boxes"], labels, found["scores"], shown)


def one_line(message):
    """Returns a message, str, without line breaks."""
    return " ".join(str(message).split())


if __name__ == "__main__":
    sys.exit(main())
