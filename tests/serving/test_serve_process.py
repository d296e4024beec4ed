"""`keras-fpn serve` as it is run, asked by the client that comes with the package."""

import contextlib
import http.client
import json
import os
import signal
import time

import pytest
from serving.serve_process import serve_process
from serving.test_client import load_client

from keras_fpn.cli.input_photos import sample_photo

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.ci]

SCENES = "faster_rcnn_resnet18_fpn_scenes"


def test_the_default_finds_what_is_in_its_sample(repository_root, tmp_path, capsys):
    """Then Ctrl-C ends the server, and its temporary folder is gone."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository_root),
        "TMPDIR": str(scratch),
    }
    client = load_client(repository_root)
    photo, output = str(sample_photo(SCENES)), str(tmp_path / "out")
    with serve_process(env=environment) as server:
        assert server.model == SCENES
        for address in (server.rest, server.grpc):
            argv = [photo, "--server", address, "--model", SCENES, "--output", output]
            assert client.main(argv) == 0
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.partition(": ")[2] == second.partition(": ")[2]
    assert int(first.partition(": ")[2].split()[0]) > 8  # as of its recipe
    assert list(scratch.iterdir()) == []


def test_sigterm_ends_it_after_the_request_that_runs(exported, repository_root):
    environment = {**os.environ, "PYTHONPATH": str(repository_root)}
    with serve_process(exported, env=environment) as server:
        host = server.rest.removeprefix("http://")
        body = json.dumps({"instances": [{"b64": ""}] * 60})
        connection = http.client.HTTPConnection(host, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", f"/v1/models/{server.model}:predict", body)
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            rows = json.load(connection.getresponse())["predictions"]
        assert [row["status"] for row in rows] == ["not_jpeg_or_png"] * 60
        assert server.process.wait(60) == 0
