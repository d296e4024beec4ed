"""A stand-in for TensorFlow Serving, for tests: it is not the server itself.

It answers the same REST and gRPC messages by a SavedModel that plain TensorFlow loads,
so that clients and the messages can be tried where no server is installed. It refuses
requests in TensorFlow Serving's words, shortened. It has no batching across requests,
no reloading and no limits.

    python tests/serving/stand_in_server.py MODEL_DIR [--rest-port N] [--grpc-port N]
"""

import argparse
import base64
import concurrent.futures
import http.server
import json
import pathlib
import re
import threading

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_service_pb2_grpc,
)

MESSAGE_BYTES = (1 << 31) - 1  # what TensorFlow Serving takes; gRPC's own is 4 MB


class ServedModel:
    """The newest version in a model's folder.

    Attributes:
        name: str, the folder's name.
        version: int.
    """

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.name = directory.name
        self.version = max(int(p.name) for p in directory.iterdir() if p.name.isdigit())
        loaded = tf.saved_model.load(str(directory / str(self.version)))
        self._loaded = loaded  # its functions hold no reference to it
        self._signatures = loaded.signatures

    def predict(self, signature, inputs):
        """Returns the outputs, dict of arrays; inputs is a dict of arrays or lists."""
        function = self._function(signature)
        specs = function.structured_input_signature[1]
        if set(specs) != set(inputs):
            raise ValueError(f"inputs must be {sorted(specs)}, not {sorted(inputs)}")
        tensors = {n: tf.constant(v, specs[n].dtype) for n, v in inputs.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}

    def only_input(self, signature):
        """Returns the name of a signature's input, if it has one, else None."""
        names = list(self._function(signature).structured_input_signature[1])
        return names[0] if len(names) == 1 else None

    def _function(self, signature):
        signature = signature or "serving_default"
        if signature not in self._signatures:
            raise ValueError(f'Serving signature name: "{signature}" not found')
        return self._signatures[signature]


class _RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ServedModel

    def do_GET(self):
        if self.path != f"/v1/models/{self.model.name}":
            return self._reply(404, {"error": f"Servable not found: {self.path}"})
        status = {"error_code": "OK", "error_message": ""}
        version = {"version": str(self.model.version), "state": "AVAILABLE"}
        return self._reply(
            200, {"model_version_status": [{**version, "status": status}]}
        )

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = rf"/v1/models/{re.escape(self.model.name)}(/versions/(\d+))?:predict"
        found = re.fullmatch(path, self.path)
        if not found or int(found[2] or self.model.version) != self.model.version:
            return self._reply(404, {"error": f"Servable not found: {self.path}"})
        try:
            return self._reply(200, answer_json(self.model, json.loads(body)))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            return self._reply(400, {"error": str(error)})

    def _reply(self, code, answer):
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        """Keeps quiet."""


def answer_json(model, request):
    """Returns the reply to a REST request in row ("instances") or column form.

    Raises:
        ValueError, TypeError: the request is not of these forms.
    """
    if not isinstance(request, dict):
        raise ValueError("JSON Value: Is not object")
    signature = request.get("signature_name")
    only_input = model.only_input(signature)
    if "instances" in request and "inputs" in request:
        raise ValueError("expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in request:
        inputs = _columns(request["instances"], only_input)
        outputs = model.predict(signature, inputs)
        columns = {name: _jsonable(name, value) for name, value in outputs.items()}
        names, values = list(columns), zip(*columns.values(), strict=True)
        return {"predictions": [dict(zip(names, row, strict=True)) for row in values]}
    if "inputs" not in request:
        raise ValueError("Missing 'inputs' or 'instances' key")
    inputs = _decoded(request["inputs"])
    if not isinstance(inputs, dict):
        inputs = {only_input: inputs}
    outputs = model.predict(signature, inputs)
    return {"outputs": {name: _jsonable(name, v) for name, v in outputs.items()}}


def _columns(rows, only_input):
    """Returns the inputs, dict of lists, of a request in row form."""
    if not isinstance(rows, list):
        raise ValueError("Excepting 'instances' to be an list/array")
    if not rows:
        raise ValueError("No values in 'instances' array")
    rows = [_decoded(row) for row in rows]
    if not isinstance(rows[0], dict):
        if any(isinstance(row, dict) for row in rows):
            raise ValueError("Expecting value/list but got object")
        return {only_input: rows}
    for row in rows:
        if not isinstance(row, dict) or set(row) != set(rows[0]):
            raise ValueError(f"keys must be equal to: {','.join(sorted(rows[0]))}")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _decoded(value):
    """Returns a JSON value with every {"b64": ...} in it as bytes."""
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, dict):
        return {name: _decoded(item) for name, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _jsonable(name, array):
    """Returns an output as lists; strings as base64 where the name says bytes."""
    if array.dtype != object:
        return array.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in array]
    return [item.decode() for item in array]


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self._model = model

    def Predict(self, request, context):
        if request.model_spec.name != self._model.name:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
        try:
            inputs = {name: tf.make_ndarray(v) for name, v in request.inputs.items()}
            outputs = self._model.predict(request.model_spec.signature_name, inputs)
        except (ValueError, TypeError, tf.errors.OpError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        reply = predict_pb2.PredictResponse()
        reply.model_spec.name = self._model.name
        reply.model_spec.version.value = self._model.version
        for name, value in outputs.items():
            if not request.output_filter or name in request.output_filter:
                reply.outputs[name].CopyFrom(tf.make_tensor_proto(np.asarray(value)))
        return reply


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def start(model, rest_port=0, grpc_port=0):
    """Starts both servers on this machine; port 0 takes a free one.

    Returns:
        the two ports, REST's first; and a function that stops both.
    """
    handler = type("Handler", (_RestHandler,), {"model": model})
    rest = _HttpServer(("127.0.0.1", rest_port), handler)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    limits = [("grpc.max_receive_message_length", MESSAGE_BYTES)]
    pool = concurrent.futures.ThreadPoolExecutor(8)
    remote = grpc.server(pool, options=limits)
    service = _PredictionService(model)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, remote)
    grpc_port = remote.add_insecure_port(f"127.0.0.1:{grpc_port}")
    remote.start()

    def stop():
        rest.shutdown()
        rest.server_close()
        remote.stop(None).wait()

    return rest.server_address[1], grpc_port, stop


def main():
    """Serves until it is interrupted; prints the ports, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", metavar="MODEL_DIR")
    parser.add_argument("--rest-port", type=int, default=0)
    parser.add_argument("--grpc-port", type=int, default=0)
    arguments = parser.parse_args()
    model = ServedModel(arguments.directory)
    rest, remote, _ = start(model, arguments.rest_port, arguments.grpc_port)
    print(json.dumps({"model": model.name, "rest": rest, "grpc": remote}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
