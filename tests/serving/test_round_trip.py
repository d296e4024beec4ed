"""Messages to the server of `keras-fpn serve` and back, by the package's client."""

import base64
import concurrent.futures
import contextlib
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image
from serving.conftest import encoded
from serving.test_client import load_client
from skimage import data

pytestmark = pytest.mark.tensorflow_only

PREDICT = "tiny:predict"


@pytest.fixture(scope="module")
def servers(exported):
    """Addresses of a server: REST's and gRPC's."""
    from keras_fpn.serving.model_folder import find_version
    from keras_fpn.serving.server_tensorflow import serving

    with serving(find_version(exported.parent)) as (rest, remote):
        yield rest, f"grpc://{remote}"


@pytest.fixture(scope="module")
def client(repository_root):
    return load_client(repository_root)


def post(address, body):
    request = urllib.request.Request(address, json.dumps(body).encode())
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def b64(contents):
    return {"b64": base64.b64encode(contents).decode()}


def test_rest_and_grpc_answer_as_detect_does(servers, client, detector, tmp_path):
    photos = [encoded(data.coffee()), encoded(data.chelsea()[:, :200], "PNG")]
    paths = [tmp_path / "0.jpg", tmp_path / "1.png"]
    for path, photo in zip(paths, photos, strict=True):
        path.write_bytes(photo)
    detected = detector.detect([str(path) for path in paths], batch_size=2)
    for server, ask in zip(servers, (client.ask_rest, client.ask_grpc), strict=True):
        answers = ask(server, "tiny", [*photos, b"nonsense"], 60)
        statuses = [answer["status"] for answer in answers]
        assert statuses == ["ok", "ok", "not_jpeg_or_png"]
        for answer, expected in zip(answers[:2], detected, strict=True):
            found = client.above(answer, 0.0)
            assert len(found["scores"]) == len(expected["scores"]) > 0
            np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=0.01)
            np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4)


def test_rest_takes_rows_columns_names_and_versions(servers):
    address = f"{servers[0]}/v1/models/tiny"
    photo = b64(encoded(data.coffee()))
    rows = post(f"{address}:predict", {"instances": [photo]})["predictions"]
    assert rows[0]["num_detections"] > 0
    for body in (
        {"instances": [{"inputs": photo}]},
        {"signature_name": "serving_default", "instances": [photo]},
    ):
        assert post(f"{address}/versions/1:predict", body)["predictions"] == rows
    columns = post(f"{address}:predict", {"inputs": {"inputs": [photo]}})["outputs"]
    assert {name: value[0] for name, value in columns.items()} == rows[0]
    assert post(f"{address}:predict", {"inputs": [photo]})["outputs"] == columns


def test_the_metadata_are_those_of_the_signatures(servers):
    with urllib.request.urlopen(f"{servers[0]}/v1/models/tiny/metadata") as reply:
        found = json.load(reply)
    spec = {"name": "tiny", "signature_name": "", "version": "1"}
    assert found["model_spec"] == spec
    signatures = found["metadata"]["signature_def"]["signature_def"]
    default = signatures["serving_default"]
    assert default["method_name"] == "tensorflow/serving/predict"
    photos = default["inputs"]["inputs"]
    assert photos["dtype"] == "DT_STRING"
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert photos["tensor_shape"] == shape
    boxes = default["outputs"]["detection_boxes"]["tensor_shape"]["dim"]
    assert [dim["size"] for dim in boxes] == ["-1", "20", "4"]


def test_requests_of_others_do_not_change_an_answer(servers):
    """Many at once, of them some that are no requests."""
    address = f"{servers[0]}/v1/models/tiny:predict"
    good = {"instances": [b64(encoded(data.coffee()))]}
    alone = post(address, good)
    others = [
        {"instances": [b64(encoded(data.chelsea())), b64(b"nonsense")]},
        {"instances": []},
        {"signature_name": "image_tensor", "inputs": [[[[300, 0, 0]]]]},
        {"signature_name": "image_tensor", "inputs": [[[[1, 2, 3]]]]},
        ["x"],
    ]

    def disturb(body):
        with contextlib.suppress(urllib.error.HTTPError):
            post(address, body)

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        disturbing = [pool.submit(disturb, body) for body in others * 4]
        asked = [pool.submit(post, address, good) for _ in range(8)]
        answers = [future.result() for future in asked]
        for future in disturbing:
            future.result()
    assert answers == [alone] * 8


def test_an_empty_batch_has_an_empty_answer_in_columns(servers):
    address = f"{servers[0]}/v1/models/tiny:predict"
    outputs = post(address, {"inputs": []})["outputs"]
    assert set(map(len, outputs.values())) == {0}


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("absent:predict", {"instances": []}, 404, "not found"),
        ("tiny/versions/2:predict", {"instances": []}, 404, "not found"),
        (PREDICT, {"signature_name": "x", "inputs": []}, 400, '"x" not found'),
        (PREDICT, {"signature_name": ["x"], "inputs": []}, 400, "must be a string"),
        (PREDICT, {"instances": [{"photo": "x"}]}, 400, "must be"),
        (PREDICT, {"instances": []}, 400, "No values in 'instances' array"),
        (PREDICT, {"instances": "x"}, 400, "to be an list/array"),
        (PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
        (PREDICT, {"inputs": ["x"], "instances": ["x"]}, 400, "expecting only one"),
        (PREDICT, ["x"], 400, "Is not object"),
        (PREDICT, {"instances": [{"inputs": "x"}, "x"]}, 400, "keys must be equal to"),
        (PREDICT, {"instances": ["x", {"inputs": "x"}]}, 400, "but got object"),
        (PREDICT, {"instances": [["x"], ["x", "x"]]}, 400, "non-rectangular"),
        (PREDICT, {"instances": [{"b64": "?"}]}, 400, "base64"),
        (PREDICT, {"instances": [{"b64": 5}]}, 400, "must be a string of base64"),
        (PREDICT, {"instances": [3]}, 400, "string"),
        (PREDICT, b"not JSON", 400, "Expecting value"),
        (PREDICT, b"\xff", 400, "decode"),
    ],
)
def test_rest_says_what_is_wrong_with_a_request(servers, path, body, code, message):
    contents = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{servers[0]}/v1/models/{path}", contents)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as reply:
        assert reply.code == code
        assert message in json.load(reply)["error"]


@pytest.mark.parametrize("kind", [0, 1])
def test_the_client_draws_the_answer(servers, client, exported, tmp_path, capsys, kind):
    photo, broken = tmp_path / "cup.jpg", tmp_path / "broken.jpg"
    photo.write_bytes(encoded(data.coffee()))
    broken.write_bytes(encoded(data.coffee())[:2000])
    classes = exported / "assets.extra" / "classes.json"
    argv = [str(photo), str(broken), "--server", servers[kind], "--model", "tiny"]
    argv += ["--classes", str(classes), "--threshold", "0.2"]
    code = client.main([*argv, "--output", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert code == 1
    assert f"picture: {tmp_path / 'out' / 'cup.jpg'}" in printed.out
    assert f"{broken}: damaged" in printed.err
    with Image.open(tmp_path / "out" / "cup.jpg") as picture:
        drawn = np.asarray(picture).astype(int)
    assert drawn.shape == data.coffee().shape
    assert (abs(drawn - data.coffee()) > 50).any(axis=-1).mean() > 0.01


@pytest.mark.parametrize("kind", [0, 1])
def test_the_client_says_that_there_is_no_such_model(servers, client, tmp_path, kind):
    ask = (client.ask_rest, client.ask_grpc)[kind]
    with pytest.raises(RuntimeError, match=r"(404|NOT_FOUND): .*Servable not found"):
        ask(servers[kind], "absent", [b""], 60)


def test_rest_at_the_port_of_grpc_is_told_apart(servers, client):
    address = servers[1].replace("grpc://", "http://")
    with pytest.raises(RuntimeError, match="Check the port of --server"):
        client.ask_rest(address, "tiny", [b""], 60)


def test_grpc_sends_more_than_4_mb(servers, client):
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1300, 3), np.uint8)
    photo = encoded(noise, "PNG")
    assert len(photo) > 4 << 20
    [answer] = client.ask_grpc(servers[1], "tiny", [photo], 60)
    assert answer["status"] == "ok"
