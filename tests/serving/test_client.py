"""What scripts/serve_client.py sends, and what it makes of any answer."""

import base64
import http.server
import importlib.util
import json
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from serving.conftest import encoded, smooth

from keras_fpn.preprocessing import read_photo

TURNED = Image.Exif()
TURNED[0x0112] = 6  # by 90 degrees
ANSWER = {
    "detection_boxes": [[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.0, 0.0]],
    "detection_classes": [17, -1],
    "detection_scores": [0.9, 0.0],
    "num_detections": 1,
    "status": "ok",
}


def load_client(root):
    """Returns the module of scripts/serve_client.py."""
    path = root / "scripts" / "serve_client.py"
    spec = importlib.util.spec_from_file_location("serve_client", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def client(repository_root):
    return load_client(repository_root)


@pytest.fixture
def server():
    """A server that gives one answer whatever it is asked.

    Attributes: `address`; `reply`, bytes to answer with; `requests`, list of the JSON
    that it was sent.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.requests.append(json.loads(body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.reply)

        def log_message(self, *args):
            """Keeps quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.address = f"http://127.0.0.1:{listening.server_address[1]}"
        listening.reply = json.dumps({"predictions": [ANSWER]}).encode()
        listening.requests = []
        threading.Thread(target=listening.serve_forever, args=(0.01,)).start()
        yield listening
        listening.shutdown()


def saved(path, form=None, mode="RGB", **options):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(smooth(40, 60)).convert(mode).save(path, form, **options)
    return path


def pixels_of(contents, folder):
    (folder / "sent").write_bytes(contents)
    with Image.open(folder / "sent") as image:
        return np.asarray(image), image.format, image.getexif().get(0x0112)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_upright_jpegs_and_pngs_are_sent_as_they_are(client, tmp_path, name):
    path = saved(tmp_path / name)
    assert client.photo_bytes(path) == path.read_bytes()


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.tif", "a.bmp", "a.ppm"])
def test_other_formats_are_sent_as_the_png_of_what_detect_sees(client, tmp_path, name):
    path = saved(tmp_path / name)
    pixels, form, _ = pixels_of(client.photo_bytes(path), tmp_path)
    assert form == "PNG"
    np.testing.assert_array_equal(pixels, read_photo(path))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_photos_that_exif_rotates_are_sent_upright(client, tmp_path, mode):
    path = saved(tmp_path / "a.jpg", mode=mode, exif=TURNED)
    pixels, form, orientation = pixels_of(client.photo_bytes(path), tmp_path)
    assert (pixels.shape, form, orientation) == ((60, 40, 3), "PNG", None)
    np.testing.assert_array_equal(pixels, read_photo(path))


def test_damaged_exif_counts_as_none(client, tmp_path):
    path = saved(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    pixels, _, _ = pixels_of(client.photo_bytes(path), tmp_path)
    np.testing.assert_array_equal(pixels, read_photo(saved(tmp_path / "b.jpg")))


# Pillow warns of a photo above its limit, and refuses one above twice that.
@pytest.mark.parametrize("limit", [20_000, 10_000])
def test_a_photo_that_is_too_large_fails_alone(
    client, server, tmp_path, capsys, monkeypatch, limit
):
    large = tmp_path / "large.png"
    large.write_bytes(encoded(smooth(150, 200), "PNG"))
    small = tmp_path / "small.png"
    small.write_bytes(encoded(smooth(20, 30), "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    argv = [str(large), str(small), "--server", server.address]
    assert client.main([*argv, "--output", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert f"{large}: A photo must have at most {limit} pixels" in printed.err
    assert f"{small}: 1 boxes" in printed.out
    assert len(server.requests) == 1


def test_what_is_no_photo_fails_before_it_is_sent(client, server, tmp_path, capsys):
    text, absent = tmp_path / "a.txt", tmp_path / "absent.jpg"
    text.write_text("hello")
    argv = [str(text), str(absent), "--server", server.address]
    assert client.main([*argv, "--output", str(tmp_path)]) == 1
    [first, second] = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{text}: A photo must be in one of")
    assert second.startswith(f"{absent}: ")
    assert "No such file" in second
    assert server.requests == []


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"hi", "must answer like TensorFlow Serving's REST"),
        (b"\xff\xfe", "must answer like TensorFlow Serving's REST"),
        (b"[]", "must answer like TensorFlow Serving's REST"),
        (b'{"outputs": {}}', ": KeyError('predictions')"),
        (b'{"predictions": 3}', "must be a list; received 3"),
        (b'{"predictions": []}', "must be a list; received []"),
        (b'{"predictions": [[0.5]]}', "received [0.5]. Serve a model that"),
        (b'{"predictions": [{"scores": 1}]}', "received ['scores']. Serve a model"),
    ],
)
def test_an_answer_of_another_kind_is_one_line(
    client, server, tmp_path, capsys, reply, message
):
    server.reply = reply
    photo = str(saved(tmp_path / "a.png"))
    argv = [photo, "--server", server.address + "/", "--output", str(tmp_path / "out")]
    assert client.main(argv) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{photo}: ")
    assert message in line


def test_photos_of_one_name_get_a_picture_each(client, server, tmp_path, capsys):
    photos = [saved(tmp_path / folder / "cup.jpg") for folder in ("a", "b")]
    argv = [*map(str, photos), "--server", server.address]
    assert client.main([*argv, "--output", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["cup.jpg", "cup_2.jpg"]
    assert f"{photos[1]}: 1 boxes; picture: {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize("normalized", [False, True])
def test_normalized_boxes_are_drawn_on_the_photo(client, server, tmp_path, normalized):
    photo = tmp_path / "black.png"
    photo.write_bytes(encoded(np.zeros((200, 400, 3), np.uint8), "PNG"))
    argv = [str(photo), "--server", server.address, "--output", str(tmp_path / "out")]
    assert client.main(argv + ["--normalized-boxes"] * normalized) == 0
    with Image.open(tmp_path / "out" / "black.png") as picture:
        assert picture.size == (800, 400)  # enlarged twice
        column = np.asarray(picture)[:, 400].any(axis=-1)
    # The box is from a quarter to three quarters: its line is just below row 300.
    assert column[300:310].any() == normalized
    assert not column[220:300].any()


def test_photos_are_sent_in_base64(client, server, tmp_path):
    photo = saved(tmp_path / "a.jpg")
    client.ask_rest(server.address, "m", [photo.read_bytes()], 60)
    sent = base64.b64encode(photo.read_bytes()).decode()
    assert server.requests == [{"instances": [{"b64": sent}]}]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--server", "localhost:8501"], "must start with one of http://"),
        (["--classes", "absent.json"], "must be the classes.json of an exported model"),
    ],
)
def test_the_command_line_is_checked(client, capsys, argv, message):
    with pytest.raises(SystemExit):
        client.main(["photo.jpg", *argv])
    assert message in capsys.readouterr().err


def test_grpc_says_what_to_install(client, monkeypatch):
    for name in ("tensorflow_serving", "tensorflow_serving.apis"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RuntimeError, match=r"pip install 'keras-fpn\[serving\]'"):
        client.ask_grpc("grpc://127.0.0.1:1", "m", [b""], 1)
