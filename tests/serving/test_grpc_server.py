"""TensorFlow Serving's gRPC calls, and messages that lie about their size."""

import contextlib
import threading

import numpy as np
import pytest
from serving.conftest import encoded, smooth

from keras_fpn.serving.model_folder import find_version
from keras_fpn.serving.request_queue import Limits, RequestQueue

pytestmark = pytest.mark.tensorflow_only
grpc = pytest.importorskip("grpc", reason="the extra `serve` is absent")

LIMITS = Limits(request_bytes=100_000, requests=3, seconds=30.0)


class Stubs:
    """The client's side of a server's calls."""

    def __init__(self, port, queue):
        from tensorflow_serving.apis import (
            model_service_pb2_grpc,
            prediction_service_pb2_grpc,
        )

        self.queue = queue
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self.model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, request):
        return self.prediction.Predict(request, timeout=30)

    def close(self):
        self._channel.close()


@contextlib.contextmanager
def served(exported, limits=LIMITS):
    from keras_fpn.serving.grpc_server_tensorflow import GrpcServer
    from keras_fpn.serving.served_model_tensorflow import ServedModel

    queue = RequestQueue(limits)
    model = ServedModel(find_version(exported))
    server = GrpcServer(model, queue, "127.0.0.1", 0)
    with contextlib.closing(Stubs(server.port, queue)) as stubs:
        yield stubs
    server.stop()
    queue.stop()


@pytest.fixture(scope="module")
def stubs(exported):
    with served(exported) as stubs:
        yield stubs


def question(inputs=None, name="tiny", **spec):
    """Returns a PredictRequest of a photo, or of other inputs."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    photo = {"inputs": [encoded(smooth(30, 40), "PNG")]}
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    for key, value in spec.items():
        if key == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, key, value)
    for key, value in (photo if inputs is None else inputs).items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


@contextlib.contextmanager
def refused(status, message):
    with pytest.raises(grpc.RpcError) as error:
        yield
    assert error.value.code().name == status
    assert message in error.value.details()


def test_outputs_can_be_chosen(stubs):
    import tensorflow as tf

    request = question(version=1, signature_name="xyxy")
    request.output_filter.extend(["scores", "status"])
    reply = stubs.predict(request)
    assert set(reply.outputs) == {"scores", "status"}
    assert tf.make_ndarray(reply.outputs["status"]).tolist() == [b"ok"]
    spec = reply.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("tiny", 1, "xyxy")


def test_the_model_has_a_state_and_metadata(stubs):
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "tiny"
    [state] = stubs.model.GetModelStatus(request).model_version_status
    assert (state.version, state.state) == (1, state.AVAILABLE)
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "tiny"
    with refused("INVALID_ARGUMENT", "must be ['signature_def']; received []"):
        stubs.prediction.GetModelMetadata(request)
    request.metadata_field.append("signature_def")
    reply = stubs.prediction.GetModelMetadata(request)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(found)
    [(name, tensor)] = found.signature_def["serving_default"].inputs.items()
    assert (name, tensor.dtype) == ("inputs", 7)  # DT_STRING
    for call, other in (
        (stubs.model.GetModelStatus, get_model_status_pb2.GetModelStatusRequest()),
        (stubs.prediction.GetModelMetadata, request),
    ):
        other.model_spec.name = "other"
        with refused("NOT_FOUND", "Latest(other)"):
            call(other)


@pytest.mark.parametrize(
    ("spec", "status", "message"),
    [
        ({"name": "other"}, "NOT_FOUND", "Latest(other)"),
        ({"version": 2}, "NOT_FOUND", "Specific(tiny, 2)"),
        ({"version_label": "stable"}, "INVALID_ARGUMENT", "label: stable"),
        ({"signature_name": "x"}, "INVALID_ARGUMENT", '"x" not found'),
        ({"inputs": {"photo": [b"x"]}}, "INVALID_ARGUMENT", "must be ['inputs']"),
        ({"inputs": {"inputs": [1]}}, "INVALID_ARGUMENT", "dtype=string"),
        ({"inputs": {"inputs": b"x"}}, "INVALID_ARGUMENT", "the shape (None,)"),
        ({"inputs": {"inputs": [b"x" * 200_000]}}, "RESOURCE_EXHAUSTED", "200"),
    ],
)
def test_what_is_asked_for_wrongly_is_said(stubs, spec, status, message):
    with refused(status, message):
        stubs.predict(question(**spec))
    assert stubs.predict(question()).outputs["num_detections"].int_val


@pytest.mark.parametrize(
    ("signature", "sides", "message"),
    [
        ("image_tensor", [1, 99999, 99999, 3], "at most 100000 bytes"),
        ("image_tensor", [1, -1, 4, 3], "known shape; received [1, -1, 4, 3]"),
        ("image_tensor", [0] * 300, "known shape"),
        ("image_tensor", [1, 2], "shape (None, None, None, 3)"),
        ("", [10**9], "must have 1000000000 strings; received 1"),
        ("", [], "the shape (None,)"),
    ],
)
def test_a_small_message_cannot_stand_for_a_large_array(
    stubs, signature, sides, message
):
    text = np.array(b"x", object) if signature == "" else np.uint8(7)
    request = question({"inputs": text}, signature_name=signature)
    for side in sides:
        request.inputs["inputs"].tensor_shape.dim.add(size=side)
    with refused("INVALID_ARGUMENT", message):
        stubs.predict(request)


def test_content_of_another_length_is_refused(stubs):
    request = question({"inputs": smooth(4, 5)[None]}, signature_name="image_tensor")
    assert stubs.predict(request).outputs["status"].string_val == [b"ok"]
    proto = request.inputs["inputs"]
    proto.tensor_content = proto.tensor_content[:-1]
    with refused("INVALID_ARGUMENT", "reshape"):
        stubs.predict(request)


def test_too_many_requests_are_refused_at_once(stubs):
    with contextlib.ExitStack() as places:
        for _ in range(3):
            places.enter_context(stubs.queue.place())
        with refused("UNAVAILABLE", "has 3 requests already"):
            stubs.predict(question())
    assert stubs.predict(question()).outputs


def test_an_answer_that_takes_too_long_is_an_error(exported):
    go = threading.Event()
    with served(exported, Limits(requests=3, seconds=0.2)) as stubs:
        for _ in range(2):
            with stubs.queue.place() as place:
                place.run(go.wait)
        with refused("DEADLINE_EXCEEDED", "longer than 0.2 s"):
            stubs.predict(question())
        go.set()


def test_two_servers_do_not_share_a_port(exported):
    from keras_fpn.serving.grpc_server_tensorflow import GrpcServer

    queue = RequestQueue(LIMITS)
    first = GrpcServer(None, queue, "127.0.0.1", 0)
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{first.port}\. Choose another"):
        GrpcServer(None, queue, "127.0.0.1", first.port)
    first.stop()
    queue.stop()
