"""What the server does with requests of any kind; its model is a stand-in."""

import contextlib
import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest

from keras_fpn.serving import rest_server
from keras_fpn.serving.request_queue import Limits, RequestQueue
from keras_fpn.serving.rest_server import RestContent, RestServer

PREDICT = "/v1/models/m:predict"


class Model:
    """Doubles its input; waits for `go` if it gets a 0, and breaks if it gets a 13."""

    name, version = "m", 3

    def __init__(self):
        self.go = threading.Event()
        self.began = threading.Semaphore(0)

    def only_input(self, signature):
        return "x"

    def predict(self, signature, inputs):
        self.began.release()
        if 0 in inputs["x"]:
            self.go.wait(9)
        if 13 in inputs["x"]:
            raise KeyError("a fault of the program")
        return {"y": 2 * np.asarray(inputs["x"])}


class Client:
    """Asks a server, each time by a connection of its own."""

    def __init__(self, port, model):
        self.port, self.model = port, model

    def ask(self, method, path, body=None, **headers):
        """Returns the code and the answer, JSON if it is some."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=9)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            text = reply.read()
            json_type = reply.headers["Content-Type"] == "application/json"
            return reply.status, json.loads(text) if json_type else text

    def predict(self, *values):
        return self.ask("POST", PREDICT, json.dumps({"instances": values}))

    def recovers(self):
        """Returns whether a request is answered soon, though not always the first."""
        end = time.monotonic() + 9
        while (code := self.predict(1)[0]) != 200 and time.monotonic() < end:
            time.sleep(0.01)
        return code == 200

    def wait_for(self, count):
        """Waits until so many more requests run."""
        for _ in range(count):
            assert self.model.began.acquire(timeout=9)


@contextlib.contextmanager
def served(sample=None, **limits):
    model, queue = Model(), RequestQueue(Limits(**limits))
    listening = socket.create_server(("127.0.0.1", 0))
    content = RestContent({"metadata": 1}, {"name": "m"}, sample)
    server = RestServer(model, queue, listening, content)
    try:
        yield Client(listening.getsockname()[1], model)
    finally:
        model.go.set()
        server.stop()
        queue.stop()


@pytest.fixture(scope="module")
def client():
    with served(request_bytes=1000) as client:
        yield client


def test_a_request_is_answered(client):
    assert client.predict(1, 2) == (200, {"predictions": [{"y": 2}, {"y": 4}]})
    versions = "/v1/models/m/versions/3:predict"
    assert client.ask("POST", versions, '{"inputs": [4]}')[1] == {"outputs": {"y": [8]}}


def test_the_model_has_a_state_and_metadata(client):
    status = {"error_code": "OK", "error_message": ""}
    state = {"version": "3", "state": "AVAILABLE", "status": status}
    for path in ("/v1/models/m", "/v1/models/m/versions/3"):
        assert client.ask("GET", path) == (200, {"model_version_status": [state]})
        assert client.ask("GET", f"{path}/metadata") == (200, {"metadata": 1})


@pytest.mark.parametrize(
    ("method", "path", "code", "message"),
    [
        ("GET", "/v1/models/other", 404, "not found for request: Latest(other)"),
        ("GET", "/v1/models/m/versions/4/metadata", 404, "Specific(m, 4)"),
        ("POST", "/v1/models/other:predict", 404, "Latest(other)"),
        ("POST", "/v1/models/m/versions/4:predict", 404, "Specific(m, 4)"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/", 400, "Malformed request: GET /v1/models/"),
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("POST", "/v1/models/m", 400, "Malformed request: POST"),
        ("POST", "/v1/models/m:classify", 400, "Malformed request: POST"),
        ("PUT", "/v1/models/m", 400, "Malformed request: PUT"),
        ("OPTIONS", PREDICT, 400, "Malformed request: OPTIONS"),
        ("GET", "/v1/models/m/versions/x", 400, "Malformed request"),
        ("GET", "/v1/models/m/versions/" + "9" * 5000, 400, "Malformed request"),
        ("GET", "/absent", 404, "Malformed request: GET /absent"),
        ("POST", "/", 405, "Malformed request: POST /"),
        ("GET", "/../../etc/passwd", 404, "Malformed request"),
        ("GET", "/sample", 404, "Malformed request"),
    ],
)
def test_other_addresses_are_errors_in_json(client, method, path, code, message):
    found, answer = client.ask(method, path)
    assert found == code
    assert message in answer["error"]


def test_the_page_needs_no_other_place(client):
    code, page = client.ask("GET", "/")
    assert code == 200
    assert b"<title>keras_fpn</title>" in page
    assert b"http://" not in page
    assert b"https://" not in page
    assert client.ask("GET", "/model.json") == (200, {"name": "m"})


def test_the_sample_is_shown(tmp_path):
    (tmp_path / "a.png").write_bytes(b"photo")
    with served(tmp_path / "a.png") as client:
        assert client.ask("GET", "/sample") == (200, b"photo")


@pytest.mark.parametrize("announced", [True, False])
def test_large_requests_are_refused(client, announced):
    body = json.dumps({"instances": [1] * 400}).encode()
    parts = body if announced else iter([body[:900], body[900:]])  # in chunks
    code, answer = client.ask("POST", PREDICT, parts)
    assert (code, answer["error"]) == (
        413,
        "A request must have at most 1000 bytes, the server's limit.",
    )
    assert client.predict(1)[0] == 200


def test_a_gigabyte_is_refused_before_it_is_sent(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=9) as raw:
        raw.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\n".encode())
        raw.sendall(b"Content-Length: 1073741824\r\n\r\n{")
        assert raw.recv(99).startswith(b"HTTP/1.1 413 ")


def test_a_fault_of_the_program_ends_its_request_alone(client, caplog):
    code, answer = client.predict(13)
    assert (code, answer) == (500, {"error": "The server failed; its log says where."})
    assert client.predict(1)[0] == 200
    deadline = time.monotonic() + 9  # it is logged after the answer
    while "a fault of the program" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("junk", [b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"A" * 99999])
def test_what_is_not_http_is_refused(client, junk):
    with socket.create_connection(("127.0.0.1", client.port), timeout=9) as raw:
        with contextlib.suppress(OSError):
            raw.sendall(junk)
            assert raw.recv(99).startswith(b"HTTP/1.1 400 ")
    assert client.predict(1)[0] == 200


def test_too_many_requests_are_refused_at_once_and_the_others_answered():
    answers = []
    with served(requests=2) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.predict(0)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        client.wait_for(2)
        code, answer = client.predict(1)
        assert code == 503
        assert "has 2 requests already" in answer["error"]
        client.model.go.set()
        for thread in threads:
            thread.join()
        assert answers == [(200, {"predictions": [{"y": 0}]})] * 2
        assert client.predict(1)[0] == 200


def test_an_answer_that_takes_too_long_is_an_error():
    with served(seconds=0.2) as client:
        code, answer = client.predict(0)
        assert code == 504
        assert "longer than 0.2 s" in answer["error"]
        client.model.go.set()
        assert client.recovers()


def test_a_request_that_arrives_too_slowly_is_an_error_and_frees_its_place():
    with served(seconds=0.2, requests=1) as client:
        with socket.create_connection(("127.0.0.1", client.port), timeout=9) as raw:
            raw.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\n".encode())
            raw.sendall(b"Content-Length: 20\r\n\r\n{")
            assert raw.recv(99).startswith(b"HTTP/1.1 504 ")
        assert client.recovers()


def test_a_client_that_leaves_frees_its_place():
    with served(requests=1) as client:
        with socket.create_connection(("127.0.0.1", client.port), timeout=9) as raw:
            raw.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\n".encode())
            raw.sendall(b"Content-Length: 20\r\n\r\n{")
            time.sleep(0.1)
        assert client.recovers()


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost:", b"used before"])
def test_connections_without_a_request_are_closed(monkeypatch, first):
    monkeypatch.setattr(rest_server, "_IDLE_SECONDS", 0.5)
    with served() as client:
        with socket.create_connection(("127.0.0.1", client.port), timeout=9) as raw:
            if first == b"used before":
                raw.sendall(b"GET /model.json HTTP/1.1\r\nHost: a\r\n\r\n")
                reply = raw.recv(9999)
                while not reply.endswith(b'"m"}'):
                    part = raw.recv(9999)
                    assert part, "closed too early"
                    reply += part
                first = b"GET / HTTP/1.1\r\nHost:"
            raw.sendall(first)
            assert raw.recv(9999) == b""


def test_stopping_answers_what_runs():
    answers = []
    with served() as client:
        thread = threading.Thread(target=lambda: answers.append(client.predict(0)))
        thread.start()
        client.wait_for(1)
    thread.join()  # the server has stopped
    assert answers == [(200, {"predictions": [{"y": 0}]})]
    with pytest.raises(ConnectionRefusedError):
        client.predict(1)
