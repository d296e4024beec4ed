"""The forms of REST's messages; tests/serving/test_round_trip.py has their errors."""

import base64
import json

import numpy as np
import pytest

from keras_fpn.serving.json_messages import answer_json
from keras_fpn.serving.request_error import RequestError


class Model:
    """Returns what it is given; `inputs` are its inputs' names."""

    def __init__(self, *inputs, outputs=None):
        self.inputs, self.outputs, self.asked = inputs, outputs, []

    def only_input(self, signature):
        return self.inputs[0] if len(self.inputs) == 1 else None

    def predict(self, signature, inputs):
        self.asked.append((signature, inputs))
        if self.outputs is not None:
            return self.outputs
        return {name: np.asarray(value) for name, value in inputs.items()}


def ask(model, request):
    return json.loads(answer_json(model, json.dumps(request).encode()))


def test_rows_become_columns_and_columns_rows():
    model = Model("a", "b")
    rows = [{"a": 1, "b": [2, 3]}, {"a": 4, "b": [5, 6]}]
    assert ask(model, {"instances": rows}) == {"predictions": rows}
    columns = {"a": [1, 4], "b": [[2, 3], [5, 6]]}
    assert model.asked == [(None, columns)]
    answer = ask(model, {"signature_name": "x", "inputs": columns})
    assert answer == {"outputs": columns}
    assert model.asked[1] == ("x", columns)


def test_the_name_of_an_only_input_may_be_left_out():
    model = Model("a")
    assert ask(model, {"instances": [1, 2]}) == {"predictions": [{"a": 1}, {"a": 2}]}
    assert ask(model, {"inputs": [1, 2]}) == {"outputs": {"a": [1, 2]}}
    for request in ({"instances": [1]}, {"inputs": [1]}):
        with pytest.raises(RequestError, match="must be named"):
            ask(Model("a", "b"), request)


def test_bytes_are_base64_both_ways():
    photo = {"b64": base64.b64encode(b"\xff\0").decode()}
    outputs = {
        "status": np.array([b"ok", b"\xff"], object),
        "mask_bytes": np.array([[b"\xff\0"], [b""]], object),
    }
    model = Model("a", outputs=outputs)
    answer = ask(model, {"instances": [{"a": photo}, {"a": [photo]}]})
    assert model.asked == [(None, {"a": [b"\xff\0", [b"\xff\0"]]})]
    assert answer["predictions"] == [
        {"status": "ok", "mask_bytes": [photo]},
        {"status": "\ufffd", "mask_bytes": [{"b64": ""}]},
    ]


@pytest.mark.parametrize(
    "outputs", [{"a": np.zeros(2), "b": np.zeros(3)}, {"a": np.float32(1)}]
)
def test_outputs_that_are_no_rows_must_be_asked_for_in_columns(outputs):
    model = Model("a", outputs=outputs)
    with pytest.raises(RequestError, match="ask in columns"):
        ask(model, {"instances": [1]})
    assert set(ask(model, {"inputs": [1]})["outputs"]) == set(outputs)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[" * 100_000, "too many lists in lists"),
        (b'{"instances": ' + b"[" * 999 + b"]" * 999 + b"}", "in lists"),
        (
            b'{"instances": [' + b"9" * 5000 + b"]}",
            "Exceeds the limit",
        ),
        (b'{"inputs": [' + b"[]," * 4_000_000 + b"0]}", "at most 4,000,000 lists"),
        (b'{"inputs": [' + b"{}," * 4_000_000 + b"0]}", "at most 4,000,000 lists"),
        (b"", "JSON Parse error: Expecting value"),
        (b'"b64"', "Is not object"),
        (b'{"b64": "eA=="}', "Is not object"),
        (b'{"signature_name": {"b64": "eA=="}, "inputs": 1}', "must be a string value"),
        (b'{"inputs": {"b64": "e"}}', "JSON Parse error: "),
        (b'{"inputs": {"b64": "\xc3\xa9"}}', "JSON Parse error: "),
    ],
)
def test_what_is_no_request_is_said(body, message):
    with pytest.raises(RequestError, match=message) as refused:
        answer_json(Model("a", outputs={"a": np.float32(1)}), body)
    assert refused.value.http_code == 400
