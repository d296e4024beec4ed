"""Requests to a server as targets: JSON by REST, and messages of gRPC.

The model that is served reads photos, as that of every detector does, and finds
nothing in them.
"""

import base64
import importlib.util
import json

import tensorflow as tf
from fuzz.target import Target

from keras_fpn.preprocessing import Preprocessing
from keras_fpn.serving.json_messages import answer_json
from keras_fpn.serving.model_folder import ModelFolder
from keras_fpn.serving.read_photos_tensorflow import PhotoReader, read_batch
from keras_fpn.serving.request_error import HTTP_CODES, RequestError
from keras_fpn.serving.served_model_tensorflow import ServedModel

NAME = "reader"
HAS_GRPC = importlib.util.find_spec("tensorflow_serving") is not None
_MOST_LETTERS = 1010  # of a message


def request_targets(folder, photo):
    """Returns the targets of this module, list of `Target`.

    Args:
        folder: Path, where a model is saved.
        photo: bytes of a sound JPEG.
    """
    model = saved_model(folder / "reader")

    def rest(path):
        refusing(lambda: json.loads(answer_json(model, path.read_bytes())))

    text = base64.b64encode(photo).decode()
    boxes = [[1.0, 2.0, 30.0, 40.0], [0.0, 0.0, 9.0, 9.0]]
    bodies = [
        {"instances": [{"b64": text}, {"b64": text}]},
        {"signature_name": "boxes", "inputs": {"inputs": [text], "proposals": [boxes]}},
        {
            "signature_name": "boxes",
            "instances": [{"inputs": {"b64": text}, "proposals": boxes}] * 2,
        },
        {
            "signature_name": "pixels",
            "inputs": [[[[7, 8, 9], [1, 2, 3]], [[0, 0, 0], [255, 4, 5]]]],
        },
    ]
    targets = [
        Target(f"rest{i}.json", as_json(one), rest, one, as_json, 2, is_named=False)
        for i, one in enumerate(bodies)
    ]
    targets.append(
        Target(
            "photo.rest",
            photo,
            lambda path: refusing(
                lambda: model.predict(None, {"inputs": [path.read_bytes()]})
            ),
            is_named=False,
        )
    )
    return targets + (grpc_targets(model, text, boxes) if HAS_GRPC else [])


def as_json(structure):
    return json.dumps(structure).encode("utf-8", errors="surrogatepass")


def grpc_targets(model, text, boxes):
    """Returns the targets that are messages of gRPC, list of `Target`."""
    from google.protobuf.json_format import ParseDict, ParseError
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    from keras_fpn.serving import grpc_server_tensorflow as server
    from keras_fpn.serving.request_queue import Limits, RequestQueue

    service = server._PredictionService(model, RequestQueue(Limits()))
    flat = [side for box in boxes for side in box]
    strings = {"dtype": "DT_STRING", "tensorShape": {"dim": [{"size": "1"}]}}
    sides = [{"size": "1"}, {"size": "2"}, {"size": "4"}]
    floats = {"dtype": "DT_FLOAT", "tensorShape": {"dim": sides}, "floatVal": flat}
    message = {
        "modelSpec": {"name": NAME, "version": "1", "signatureName": "boxes"},
        "inputs": {"inputs": {**strings, "stringVal": [text]}, "proposals": floats},
        "outputFilter": ["status"],
    }

    def written(structure):
        request = PredictRequest()
        try:
            ParseDict(structure, request, ignore_unknown_fields=True)
        except (ParseError, TypeError, ValueError, AttributeError, ArithmeticError):
            # No message: what was filled before is sent.
            return request.SerializePartialToString()
        return request.SerializeToString()

    def read(path):
        try:
            request = PredictRequest.FromString(path.read_bytes())
        except DecodeError as error:
            raise ValueError("gRPC itself refuses it") from error
        refusing(lambda: service.Predict(request, Context()))

    return [
        Target("predict.grpc", written(message), read, message, written, 8, False),
    ]


class Context:
    """Of a call by gRPC, which ends it in a way of its own."""

    def abort(self, code, message):
        raise RequestError(code.name, message)


def refusing(ask):
    """Calls a function; a RequestError that is its client's fault becomes ValueError.

    Raises:
        AssertionError: the error is none for a client.
    """
    try:
        ask()
    except RequestError as error:
        statuses = set(HTTP_CODES) - {"INTERNAL"}
        if error.status not in statuses or not 0 < len(str(error)) <= _MOST_LETTERS:
            raise AssertionError(f"{error.status}: {error}") from error
        raise ValueError(" ".join(str(error).split())[:300]) from error


def saved_model(folder):
    """Returns a `ServedModel` that reads photos, pixels, and photos with boxes."""
    reader = PhotoReader(Preprocessing(min_size=64, max_size=96), 10**6)

    def answer(items, read):
        empty = tf.cast(tf.shape(items)[0] < 1, tf.int32)  # as in Signatures
        margins = [[0, empty]] + [[0, 0]] * (items.shape.rank - 1)
        images, _, sizes, status = read_batch(tf.pad(items[:8], margins), read, 32)
        return {"mean": tf.reduce_mean(images, [1, 2, 3]), "sizes": sizes} | {
            "status": status
        }

    strings = tf.TensorSpec((None,), tf.string, "inputs")
    pixels = tf.TensorSpec((None, None, None, 3), tf.uint8, "inputs")
    boxes = tf.TensorSpec((None, None, 4), tf.float32, "proposals")

    @tf.function(input_signature=[strings], autograph=False)
    def photos(inputs):
        return answer(inputs, reader.encoded)

    @tf.function(input_signature=[pixels], autograph=False)
    def arrays(inputs):
        return answer(inputs, reader.pixels)

    @tf.function(input_signature=[strings, boxes], autograph=False)
    def with_boxes(inputs, proposals):
        return {
            **answer(inputs, reader.encoded),
            "sum": tf.reduce_sum(proposals, [1, 2]),
        }

    module = tf.Module()
    functions = {"serving_default": photos, "pixels": arrays, "boxes": with_boxes}
    module.functions = list(functions.values())
    signatures = {
        name: function.get_concrete_function() for name, function in functions.items()
    }
    tf.saved_model.save(module, str(folder), signatures)
    return ServedModel(ModelFolder(folder, NAME, 1))
