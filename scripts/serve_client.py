"""Asks a server for the objects in photos and draws its answers on them.

    python scripts/serve_client.py photo.jpg --server http://localhost:8501 \
        --model detector --classes detector/1/assets.extra/classes.json
    python scripts/serve_client.py photo.jpg --server grpc://localhost:8500

Any server that takes TensorFlow Serving's messages will do. The models that
`keras-fpn export` writes read no EXIF: photos that it rotates are turned upright here
before they are sent. gRPC needs tensorflow-serving-api: pip install
'keras-fpn[serving]'.
"""

import argparse
import base64
import io
import json
import pathlib
import sys
import urllib.error
import urllib.request

from PIL import ExifTags, Image, ImageOps

MESSAGE_BYTES = 64 << 20  # gRPC's own limit is 4 MB, less than many photos
UPRIGHT = (None, 1)  # EXIF orientations that leave a photo as it is stored


def main(argv=None):
    """Asks for each photo that the command line names; returns the exit code."""
    arguments = parse(argv)
    ask = ask_grpc if arguments.server.startswith("grpc://") else ask_rest
    names = class_names(arguments.classes)
    failed = 0
    for path in arguments.photos:
        try:
            photo = upright_bytes(path)
            [answer] = ask(
                arguments.server, arguments.model, [photo], arguments.timeout
            )
        except (OSError, RuntimeError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
            continue
        if answer["status"] != "ok":
            print(f"{path}: {answer['status']}", file=sys.stderr)
            failed += 1
            continue
        found = above(answer, arguments.threshold)
        picture = draw(photo, found, names)
        arguments.output.mkdir(parents=True, exist_ok=True)
        target = arguments.output / f"{path.stem}.png"
        picture.save(target)
        print(f"{path}: {len(found['scores'])} boxes; picture: {target}")
    return 1 if failed else 0


def parse(argv):
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("photos", nargs="+", type=pathlib.Path, metavar="PHOTO")
    add(
        "--server",
        default="http://localhost:8501",
        help="http://HOST:PORT or grpc://HOST:PORT (default %(default)s)",
    )
    add("--model", default="detector", help="name at the server (default %(default)s)")
    add("--classes", metavar="FILE", help="classes.json of the exported model")
    add("--threshold", type=float, default=0.5, help="(default %(default)s)")
    add("--timeout", type=float, default=60.0, help="seconds (default %(default)s)")
    add("--output", type=pathlib.Path, default=pathlib.Path("out"), metavar="DIR")
    return parser.parse_args(argv)


def upright_bytes(path):
    """Returns the file's bytes, or of a photo that EXIF rotates, an upright PNG's."""
    with Image.open(path) as image:
        if image.getexif().get(ExifTags.Base.Orientation) in UPRIGHT:
            return path.read_bytes()
        file = io.BytesIO()
        ImageOps.exif_transpose(image).save(file, "PNG")
        return file.getvalue()


def ask_rest(server, model, photos, timeout):
    """Asks by REST.

    Args:
        server: str, http://HOST:PORT.
        model: str, the model's name.
        photos: list of bytes, JPEG or PNG.
        timeout: float, seconds.

    Returns:
        list of a dict per photo: the outputs of the model, as lists, and "status".

    Raises:
        RuntimeError: the server refused; OSError: it was not reached.
    """
    rows = [{"b64": base64.b64encode(photo).decode()} for photo in photos]
    request = urllib.request.Request(
        f"{server}/v1/models/{model}:predict",
        json.dumps({"instances": rows}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return json.load(reply)["predictions"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{error.code}: {error.read().decode()}") from error


def ask_grpc(server, model, photos, timeout):
    """Asks by gRPC; see `ask_rest`.

    Args:
        server: str, grpc://HOST:PORT.
        model, photos, timeout: as there.
    """
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(photos, tf.string))
    limits = [
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ]
    with grpc.insecure_channel(server.removeprefix("grpc://"), limits) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            reply = stub.Predict(request, timeout)
        except grpc.RpcError as error:
            raise RuntimeError(f"{error.code().name}: {error.details()}") from error
    outputs = {name: tf.make_ndarray(v).tolist() for name, v in reply.outputs.items()}
    outputs["status"] = [status.decode() for status in outputs["status"]]
    rows = zip(*outputs.values(), strict=True)
    return [dict(zip(outputs, row, strict=True)) for row in rows]


def above(answer, threshold):
    """Returns the detections of one photo that score above the threshold.

    Args:
        answer: dict, a photo's part of the outputs.
        threshold: float, 0..1.

    Returns:
        dict of lists: "boxes" xyxy, pixels; "ids", category ids; "scores".
    """
    best = range(int(answer["num_detections"]))
    kept = [i for i in best if answer["detection_scores"][i] > threshold]
    boxes = [answer["detection_boxes"][i] for i in kept]
    return {
        "boxes": [[left, top, right, bottom] for top, left, bottom, right in boxes],
        "ids": [int(answer["detection_classes"][i]) for i in kept],
        "scores": [answer["detection_scores"][i] for i in kept],
    }


def class_names(path):
    """Returns names by category id, from classes.json; none without the file."""
    if path is None:
        return {}
    classes = json.loads(pathlib.Path(path).read_text("utf-8"))
    return {item["id"]: item["name"] for item in classes}


def draw(photo, found, names):
    """Returns the photo with its boxes, `PIL.Image`.

    Args:
        photo: bytes, JPEG or PNG.
        found: dict, as of `above`.
        names: dict, category id -> str.
    """
    from keras_fpn.visualize import draw_detections

    ids = sorted({*names, *found["ids"]})
    labels = [ids.index(number) for number in found["ids"]]
    shown = [names.get(number, f"category {number}") for number in ids]
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    return draw_detections(image, found["boxes"], labels, found["scores"], shown)


if __name__ == "__main__":
    sys.exit(main())
