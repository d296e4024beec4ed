"""Requests that a server answers before it is ready, so that no client waits for them.

They lie in `assets.extra/tf_serving_warmup_requests` of a SavedModel.
"""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_fpn.serving.signatures_tensorflow import EXAMPLE, PIXELS

try:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
except ModuleNotFoundError as error:
    raise ImportError(
        "Warm-up requests must be written with tensorflow-serving-api, which is not "
        "installed: pip install 'keras-fpn[serving]'."
    ) from error

FILE = "tf_serving_warmup_requests"
# The shapes of most photos; what a detector resizes them to is what counts.
_SHAPES = ((240, 320), (320, 240), (240, 240), (180, 320))


def write_warmup(folder, model_name, signatures):
    """Writes requests of one photo each: common shapes, and every signature.

    Args:
        folder: pathlib.Path, the "assets.extra" of a SavedModel.
        model_name: str, the model's name for the server.
        signatures: list of str, the names of its signatures.
    """
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for signature in signatures:
            for height, width in _SHAPES:
                request = predict_pb2.PredictRequest()
                request.model_spec.name = model_name
                request.model_spec.signature_name = signature
                value = request_input(signature, height, width)
                request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(value))
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                writer.write(log.SerializeToString())


def request_input(signature, height, width):
    """Returns the input of one signature for a batch of one made-up photo.

    Args:
        signature: str.
        height, width: int, pixels.
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
