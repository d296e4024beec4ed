"""Warm-up requests: a server runs them before it accepts requests of clients.

They are stored in `assets.extra/tf_serving_warmup_requests` of a SavedModel.
"""

import io
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_fpn.extras import install
from keras_fpn.serving.signatures_tensorflow import EXAMPLE, PIXELS

try:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
except ModuleNotFoundError as error:
    raise ImportError(
        "Warm-up requests need tensorflow-serving-api, which is not installed. Install "
        f"it with: {install('serving')}"
    ) from error

FILE = "tf_serving_warmup_requests"
# Proportions of most photos; only the resized size matters.
_SHAPES = ((240, 320), (320, 240), (240, 240), (180, 320))


def write_warmup(
    folder: pathlib.Path,
    model_name: str,
    signatures: Sequence[str],
    with_proposals: bool = False,
):
    """Writes requests of one photo each, in common shapes and for every signature.

    Args:
        folder: the "assets.extra" of a SavedModel.
        model_name: the model's name on the server.
        signatures: the names of its signatures.
        with_proposals: whether they take proposals, too.
    """
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for signature in signatures:
            for height, width in _SHAPES:
                request = predict_pb2.PredictRequest()
                request.model_spec.name = model_name
                request.model_spec.signature_name = signature
                value = request_input(signature, height, width)
                request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(value))
                if with_proposals:
                    boxes = np.array([[[0, 0, 1, 1]]], np.float32)
                    given = tf.make_tensor_proto(boxes)
                    request.inputs["proposals"].CopyFrom(given)
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                writer.write(log.SerializeToString())


def request_input(signature: str, height: int, width: int):
    """Returns the input of a signature for a batch of one artificial photo.

    Args:
        signature: its name.
        height, width: pixels.
    """
    ramp = np.linspace(0, 255, height * width * 3)  # smooth, so the JPEG is small
    photo = ramp.astype(np.uint8).reshape(height, width, 3)
    if signature == PIXELS:
        return photo[None]
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG")
    encoded = file.getvalue()
    if signature == EXAMPLE:
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
        example = tf.train.Example(
            features=tf.train.Features(feature={"image/encoded": feature})
        )
        encoded = example.SerializeToString()
    return np.array([encoded], object)
