"""TensorFlow Serving's gRPC interface."""

import math
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_fpn.serving.model_metadata_tensorflow import SIGNATURES, signature_map
from keras_fpn.serving.request_error import RequestError, no_such_model
from keras_fpn.serving.request_queue import RequestQueue

_MOST_SIDES = 8
_GRACE_SECONDS = 10  # for requests that run when the server stops


class GrpcServer:
    """Serves a model by gRPC until it is stopped.

    Args:
        model: `ServedModel`.
        queue: `RequestQueue`.
        host: address of this machine to listen at.
        port: 0 takes a free one.

    Attributes:
        port: int.

    Raises:
        OSError: the port cannot be had.
    """

    def __init__(self, model, queue: RequestQueue, host: str, port: int):
        limits = queue.limits
        options = {
            "grpc.max_receive_message_length": limits.request_bytes,
            "grpc.max_send_message_length": -1,
            "grpc.so_reuseport": 0,  # else two servers may share a port
        }
        self._server = grpc.server(
            ThreadPoolExecutor(limits.requests, "keras_fpn_grpc"),
            options=list(options.items()),
            maximum_concurrent_rpcs=2 * limits.requests,
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _PredictionService(model, queue), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            _ModelService(model), self._server
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(
                f"gRPC cannot listen at {address}. Choose another port, or 0 for a "
                "free one."
            ) from error
        self._server.start()

    def stop(self):
        """Ends the requests that run, then the server."""
        self._server.stop(_GRACE_SECONDS).wait()


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model, queue):
        self._model, self._queue = model, queue

    def Predict(self, request, context):
        try:
            check_spec(request.model_spec, self._model)
            with self._queue.place() as place:
                future = place.run(self._answer, request)
                try:
                    return future.result(place.seconds_left())
                except TimeoutError as error:
                    raise place.too_late() from error
        except RequestError as error:
            return _abort(context, error)

    def GetModelMetadata(self, request, context):
        try:
            check_spec(request.model_spec, self._model)
            if list(request.metadata_field) != [SIGNATURES]:
                raise _invalid(
                    f"metadata_field must be [{SIGNATURES!r}]; received "
                    f"{list(request.metadata_field)}"
                )
        except RequestError as error:
            return _abort(context, error)
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        _fill_spec(reply.model_spec, self._model)
        reply.metadata[SIGNATURES].Pack(signature_map(self._model))
        return reply

    def _answer(self, request):
        spec, limit = request.model_spec, self._queue.limits.request_bytes
        specs = self._model.input_specs(spec.signature_name, request.inputs)
        inputs = {
            name: array_of(value, specs[name].dtype, limit)
            for name, value in request.inputs.items()
        }
        outputs = self._model.predict(spec.signature_name, inputs)
        reply = predict_pb2.PredictResponse()
        _fill_spec(reply.model_spec, self._model)
        reply.model_spec.signature_name = spec.signature_name
        for name, value in outputs.items():
            if not request.output_filter or name in request.output_filter:
                reply.outputs[name].CopyFrom(tf.make_tensor_proto(np.asarray(value)))
        return reply


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model):
        self._model = model

    def GetModelStatus(self, request, context):
        try:
            check_spec(request.model_spec, self._model)
        except RequestError as error:
            return _abort(context, error)
        reply = get_model_status_pb2.GetModelStatusResponse()
        state = reply.model_version_status.add(version=self._model.version)
        state.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        state.status.error_code = 0
        return reply


def check_spec(spec, model):
    """Raises RequestError unless a ModelSpec asks for this model and version."""
    version = spec.version.value if spec.HasField("version") else None
    if spec.version_label:
        raise _invalid(f"Unrecognized servable version label: {spec.version_label}")
    if (spec.name, version or model.version) != (model.name, model.version):
        raise no_such_model(spec.name, version)


def array_of(proto, dtype: tf.DType, limit: int):
    """Returns the array in a TensorProto that claims no more than it may.

    A message of a few bytes can stand for gigabytes, because a value may be repeated.

    Args:
        proto: TensorProto.
        dtype: that it must have.
        limit: bytes of the array.

    Raises:
        RequestError: it is of another dtype, damaged or too large.
    """
    shape = proto.tensor_shape
    sides = [dim.size for dim in shape.dim]
    elements = math.prod(sides)
    if proto.dtype != dtype.as_datatype_enum:
        raise _invalid(
            f"An input must have dtype={dtype.name}; received number {proto.dtype}"
        )
    if shape.unknown_rank or min(sides, default=0) < 0 or len(sides) > _MOST_SIDES:
        raise _invalid(f"An input must have a known shape; received {sides[:99]}")
    if dtype == tf.string and elements != len(proto.string_val):
        raise _invalid(
            f"An input of shape {sides} must have {elements} strings; received "
            f"{len(proto.string_val)}"
        )
    if elements * dtype.size > limit:
        raise _invalid(f"An input must have at most {limit} bytes; received {sides}")
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError) as error:
        raise _invalid(str(error)) from error


def _fill_spec(spec, model):
    spec.name = model.name
    spec.version.value = model.version


def _abort(context, error):
    context.abort(grpc.StatusCode[error.status], str(error))


def _invalid(message):
    return RequestError("INVALID_ARGUMENT", message)
