"""Photos by their address, from a server in this process."""

import http.server
import io
import json
import threading
import time

import pytest
from PIL import Image

from keras_fpn import cli
from keras_fpn.cli import detect
from keras_fpn.cli.download import download, file_name, is_url
from keras_fpn.cli.input_photos import input_photos


class Handler(http.server.BaseHTTPRequestHandler):
    """/photo.png is one; other paths are faults."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.02)
        elif path == "/cut":
            self.answer(b"x" * 10, announced=100)
        elif path == "/large":
            self.answer(b"x" * 5000)
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 5000)
        elif path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/photo.png")
            self.end_headers()
        elif path == "/a%20b/photo.png" or path == "/photo.png":
            stream = io.BytesIO()
            Image.new("RGB", (40, 30), (90, 60, 30)).save(stream, "PNG")
            self.answer(stream.getvalue())
        else:
            self.send_error(404)

    def answer(self, content, announced=None):
        self.send_response(200)
        self.send_header("Content-Length", str(announced or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(monkeypatch):
    """The address of a server on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that leave early
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.org/b/c.jpg", "c.jpg"),
        ("https://a.org/c.jpg?size=3/4#top", "c.jpg"),
        ("https://a.org/b%20c.jpg", "b_c.jpg"),
        ("https://a.org/b/", "b"),
        ("https://a.org", "photo"),
        ("https://a.org/..%2F..%2Fevil", "evil"),
        ("https://a.org/.hidden", "hidden"),
        ("https://a.org/" + "x" * 300 + ".jpg", "x" * 96 + ".jpg"),
    ],
)
def test_the_file_has_the_last_name_of_the_address(url, name):
    assert is_url(url)
    assert file_name(url) == name


@pytest.mark.parametrize("text", ["photo.jpg", "file:///a.jpg", "ftp://a/b", "http:/a"])
def test_only_addresses_of_the_web_are_downloaded(text):
    assert not is_url(text)


@pytest.mark.parametrize("path", ["/photo.png", "/moved", "/a b/photo.png"])
def test_a_photo_is_downloaded_as_it_is(address, tmp_path, path):
    download(address + path, tmp_path / "p")
    with Image.open(tmp_path / "p") as image:
        assert image.size == (40, 30)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/absent", "the server answers 404 Not Found"),
        ("/large", "at most 0 MiB; received one of 0.0 MiB"),
        ("/endless", "at most 0 MiB; received more"),
        ("/cut", "the connection ended after 10 of 100 bytes"),
        ("/slow", "it must come within 0 s; received"),
    ],
)
def test_what_is_no_whole_photo_in_time_leaves_no_file(address, tmp_path, path, reason):
    with pytest.raises(OSError, match=r"^it could not be downloaded: ") as raised:
        download(address + path, tmp_path / "p", most_bytes=1000, most_seconds=0.2)
    assert reason in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://", "http://[", "http://127.0.0.1:x/"])
def test_a_wrong_address_is_an_oserror_too(tmp_path, url):
    with pytest.raises(OSError, match=r"^it could not be downloaded: "):
        download(url, tmp_path / "p")


def test_downloads_are_gone_when_they_have_been_used(address):
    with input_photos([f"{address}/photo.png"]) as found:
        [path] = found.paths
        assert path.is_file()
        assert found.name_of(path) == f"{address}/photo.png"
    assert not path.exists()


def test_detect_takes_addresses_and_names_those_that_fail(
    address, detector, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(detect, "load_detector", lambda *_: (detector, None))
    urls = [f"{address}/{path}" for path in ("photo.png", "absent", "photo.png?2")]
    argv = ["detect", *urls, "--output", str(tmp_path / "out")]
    assert cli.main([*argv, "--json", str(tmp_path / "r.json")]) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        *(f"Downloading {url}" for url in urls),
        f"{urls[1]}: it could not be downloaded: the server answers 404 Not Found",
    ]
    assert "2 photos, 2 boxes, " in printed.out
    results = json.loads((tmp_path / "r.json").read_text())
    assert [one["file_name"] for one in results] == [urls[0], urls[2]]
    assert [one["image_id"] for one in results] == [1, 3]
    pictures = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert pictures == ["photo.png", "photo_2.png"]
