"""TensorFlow Serving's REST messages: JSON to the inputs of a model, and back."""

import base64
import json

from keras_fpn.serving.request_error import RequestError

# An empty list takes 3 bytes of a request and 64 of memory. The pixels of a photo, each
# "[r,g,b],", are so many in the largest request by default.
_MOST_LISTS = 4_000_000


def answer_json(model, body: bytes):
    """Returns the answer to a request in rows ("instances") or columns ("inputs").

    Args:
        model: a `ServedModel`.
        body: the request, JSON.

    Returns:
        bytes, JSON.

    Raises:
        RequestError: the request has another form, or does not suit the model.
    """
    if body.count(b"[") + body.count(b"{") > _MOST_LISTS:
        raise _invalid(f"The JSON must have at most {_MOST_LISTS:,} lists and objects")
    try:
        request = _decoded(json.loads(body))
    except RecursionError as error:
        raise _invalid("JSON Parse error: too many lists in lists") from error
    except ValueError as error:  # no JSON, no UTF-8, no base64, digits without end
        raise _invalid(f"JSON Parse error: {error}") from error
    answer = _answer(model, request)
    return json.dumps(answer, separators=(",", ":")).encode()


def _answer(model, request):
    if not isinstance(request, dict):
        raise _invalid("JSON Value: Is not object")
    signature = request.get("signature_name")
    if not isinstance(signature, str | None):
        raise _invalid("'signature_name' key must be a string value.")
    only_input = model.only_input(signature)
    if "instances" in request and "inputs" in request:
        raise _invalid("expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in request:
        inputs = _columns(request["instances"], only_input)
        return {"predictions": _rows(model.predict(signature, inputs))}
    if "inputs" not in request:
        raise _invalid("Missing 'inputs' or 'instances' key")
    inputs = request["inputs"]
    if not isinstance(inputs, dict):
        inputs = {_named(only_input): inputs}
    outputs = model.predict(signature, inputs)
    return {"outputs": {name: _jsonable(name, v) for name, v in outputs.items()}}


def _columns(rows, only_input):
    """Returns the inputs, dict of lists, of a request in rows."""
    if not isinstance(rows, list):
        raise _invalid("Excepting 'instances' to be an list/array")
    if not rows:
        raise _invalid("No values in 'instances' array")
    if not isinstance(rows[0], dict):
        if any(isinstance(row, dict) for row in rows):
            raise _invalid("Expecting value/list but got object")
        return {_named(only_input): rows}
    for row in rows:
        if not isinstance(row, dict) or set(row) != set(rows[0]):
            raise _invalid(f"keys must be equal to: {','.join(sorted(rows[0]))}")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _named(only_input):
    """Returns the name of the input that a request leaves out."""
    if only_input is None:
        raise _invalid("inputs must be named, because the model has several")
    return only_input


def _decoded(value):
    """Returns a JSON value, changed: with every {"b64": ...} in it as bytes."""
    if isinstance(value, dict) and len(value) == 1 and "b64" in value:
        if not isinstance(value["b64"], str):
            raise _invalid("'b64' must be a string of base64")
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, (dict, list)):
        places = value if isinstance(value, dict) else range(len(value))
        for place in places:  # a copy would take the memory once more
            if isinstance(value[place], (dict, list)):
                value[place] = _decoded(value[place])
    return value


def _rows(outputs):
    """Returns outputs, dict of arrays (B, ...), as a list of B dicts."""
    columns = {name: _jsonable(name, value) for name, value in outputs.items()}
    if not all(isinstance(column, list) for column in columns.values()):
        raise _invalid("An output has no rows: ask in columns, with 'inputs'")
    if len({len(column) for column in columns.values()}) > 1:
        raise _invalid("Outputs differ in length: ask in columns, with 'inputs'")
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _jsonable(name, array):
    """Returns an output as lists; strings as base64 where the name says bytes."""
    if array.dtype != object:
        return array.tolist()
    binary = name.endswith("_bytes")
    return _strings(array.tolist(), binary)


def _strings(value, binary):
    if isinstance(value, list):
        return [_strings(item, binary) for item in value]
    if binary:
        return {"b64": base64.b64encode(value).decode()}
    return value.decode(errors="replace")


def _invalid(message):
    return RequestError("INVALID_ARGUMENT", message)
