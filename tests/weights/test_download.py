"""Downloads, from a server on this machine that misbehaves when told to."""

import dataclasses
import hashlib
import http.server
import logging
import os
import re
import threading
import time

import pytest

from keras_fpn.weights import SHIPPED, Checkpoint, download, fetch, get_checkpoint
from keras_fpn.weights.checkpoint import Digest

# Three pieces, so that a cut can fall into the second.
CONTENT = bytes(range(256)) * 3000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUT = 300_000


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT and notes what was asked.

    Attributes:
        asked: list of (path, value of the Range header or None), one per request.
        cuts: list of int: the next answers end after so many bytes of content.
        statuses: list of int: the next answers are these errors.
        ranges: bool, whether ranges are answered.
        told_length: int or None, a Content-Length other than the true one.
        wait: threading.Event that answers wait for.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.cuts, self.statuses = [], [], []
        self.ranges, self.range_shift, self.told_length = True, 0, None
        self.content = CONTENT
        self.wait = threading.Event()
        self.wait.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/models/tiny.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET as its server's attributes say."""

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers["Range"]))
        server.wait.wait(20)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        begin, total = 0, len(server.content)
        if server.ranges and self.headers["Range"]:
            begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            if begin >= total:
                self.send_error(416)
                return
            begin += server.range_shift
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(server.told_length or total - begin))
        self.end_headers()
        end = begin + server.cuts.pop(0) if server.cuts else total
        self.wfile.write(server.content[begin:end])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "_PAUSE", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.wait.set()
        server.shutdown()
        thread.join()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def told(caplog):
    """The texts that the library logs as information, as its user asks for."""
    caplog.set_level(logging.INFO, "keras_fpn")
    return caplog


def test_a_file_is_downloaded_once_and_under_its_hash(server, tmp_path, capsys):
    path = fetch(server.url, SHA256, tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / f"tiny-{SHA256[:8]}.pth"
    assert path.read_bytes() == CONTENT
    assert fetch(server.url, SHA256, tmp_path / "a" / "b") == path
    assert server.asked == [("/models/tiny.pth", None)]
    assert not path.with_name(f"{path.name}.part").exists()
    assert capsys.readouterr() == ("", "")


def test_who_asks_for_information_is_told_of_a_download(server, tmp_path, told):
    path = fetch(server.url, SHA256, tmp_path)
    assert told.messages == [f"Downloading {server.url} to {path}"]
    fetch(server.url, SHA256, tmp_path)
    assert len(told.messages) == 1


def test_a_checkpoint_brings_its_own_hash(server, tmp_path):
    checkpoint = Checkpoint(
        name="tiny",
        url=server.url.replace("tiny", f"tiny-{SHA256[:8]}"),
        digest=Digest("sha256", SHA256[:8]),
        num_classes=1,
        metrics={},
        source="these tests",
        license="none",
        size_mb=0.7,
    )
    path = fetch(checkpoint, cache_dir=str(tmp_path))
    assert path.name == f"tiny-{SHA256[:8]}.pth"
    assert path.read_bytes() == CONTENT
    with pytest.raises(ValueError, match=f"here {'0' * 64}; received {SHA256}"):
        fetch(checkpoint, "0" * 64, tmp_path)


def test_the_start_of_an_md5_verifies_too(server, tmp_path):
    digits = hashlib.md5(CONTENT).hexdigest()[:6]
    checkpoint = Checkpoint(
        name="tiny",
        url=server.url,
        digest=Digest("md5", digits),
        num_classes=1,
        metrics={},
        source="these tests",
        license="none",
        size_mb=None,
    )
    path = fetch(checkpoint, cache_dir=tmp_path)
    assert path.name == f"tiny-{digits}.pth"
    assert fetch(checkpoint, cache_dir=tmp_path) == path
    path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match=f"has another MD5 than {digits}: downloading"):
        fetch(checkpoint, cache_dir=tmp_path)
    wrong = dataclasses.replace(checkpoint, digest=Digest("md5", "000000"))
    with pytest.raises(ValueError, match="published MD5, here 000000; received"):
        fetch(wrong, cache_dir=tmp_path)


def test_a_checkpoint_that_cannot_be_verified_is_not_downloaded(tmp_path):
    name = "faster_rcnn_resnet50_fapn_detectron2_1x"
    said = (
        rf"must have a URL and a hash to be downloaded; received name='{name}', whose "
        r"weights \(box AP 39.2 on COCO val2017\) are published without a hash by FaPN "
        r"\(Huang et al\. 2021\), github.com/EMI-Group/FaPN, README, .*"
        r"load_weights=False, .*load_detectron2\(model, path\)"
    )
    with pytest.raises(ValueError, match=said):
        fetch(get_checkpoint(name), cache_dir=tmp_path)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("expected", ["0" * 64, SHA256[:-1] + "x", SHA256[1:9]])
def test_a_file_with_another_hash_is_deleted(expected, server, tmp_path):
    expected = expected.replace("x", "0" if SHA256[-1] != "0" else "1")
    said = f"here {expected}; received {SHA256} .768000 bytes. from {server.url}"
    with pytest.raises(ValueError, match=said):
        fetch(server.url, expected, tmp_path)
    assert names_in(tmp_path) == [f"tiny-{expected[:8]}.pth.lock"]


def test_a_cut_download_goes_on_where_it_ended(server, tmp_path):
    server.cuts = [CUT]
    path = fetch(server.url, SHA256, tmp_path)
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, f"bytes={CUT}-"]


def test_the_next_call_goes_on_where_the_last_one_ended(server, tmp_path):
    server.cuts = [CUT] + [0] * 3
    with pytest.raises(ConnectionError, match=f"after {CUT} of 768000 bytes"):
        fetch(server.url, SHA256, tmp_path)
    assert names_in(tmp_path) == [
        f"tiny-{SHA256[:8]}.pth.lock",
        f"tiny-{SHA256[:8]}.pth.part",
    ]
    server.asked.clear()
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [f"bytes={CUT}-"]


def test_a_connection_that_brings_something_each_time_is_not_given_up(server, tmp_path):
    server.cuts = [100_000] * 7
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/models/tiny.pth", "bytes=700000-")


def test_without_ranges_the_whole_file_is_read_again(server, tmp_path):
    server.ranges, server.cuts = False, [CUT]
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, f"bytes={CUT}-"]


def test_without_ranges_a_connection_always_cut_is_given_up(server, tmp_path):
    server.ranges, server.cuts = False, [CUT] * 99
    with pytest.raises(ConnectionError, match=f"after {CUT} of 768000 bytes"):
        fetch(server.url, SHA256, tmp_path)
    assert len(server.asked) == 4


def test_an_answer_with_another_range_is_not_appended(server, tmp_path):
    server.cuts, server.range_shift = [CUT], 7
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, f"bytes={CUT}-", None]


def test_a_length_too_long_is_taken_for_a_cut(server, tmp_path):
    server.told_length, server.ranges = len(CONTENT) + 5, False
    with pytest.raises(ConnectionError, match="after 768000 of 768005 bytes"):
        fetch(server.url, SHA256, tmp_path)


def test_a_length_too_short_is_noticed_by_the_hash(server, tmp_path):
    server.told_length = len(CONTENT) - 5
    with pytest.raises(ValueError, match=r"received \w{64} .767995 bytes"):
        fetch(server.url, SHA256, tmp_path)


def test_a_complete_file_of_a_killed_process_is_only_verified(server, tmp_path):
    (tmp_path / f"tiny-{SHA256[:8]}.pth.part").write_bytes(CONTENT)
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [f"bytes={len(CONTENT)}-"]  # 416


def test_a_damaged_beginning_of_an_earlier_call_is_dropped(server, tmp_path):
    (tmp_path / f"tiny-{SHA256[:8]}.pth.part").write_bytes(bytes(CUT))
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [f"bytes={CUT}-", None]


def test_a_cached_file_that_changed_is_downloaded_anew(server, tmp_path):
    path = fetch(server.url, SHA256, tmp_path)
    path.write_bytes(CONTENT[:-1])
    with pytest.warns(UserWarning, match=f"{path.name} has another SHA-256 than "):
        fetch(server.url, SHA256, tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_file_put_there_by_hand_is_used(server, tmp_path):
    path = tmp_path / f"tiny-{SHA256[:8]}.pth"
    path.write_bytes(CONTENT)
    assert fetch(server.url, SHA256.upper(), tmp_path) == path
    assert server.asked == []


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server, tmp_path):
    server.statuses = [503, 429]
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 3
    server.statuses = [404] * 4
    with pytest.raises(ConnectionError, match="the server answers 404 Not Found"):
        fetch(server.url, "1" * 64, tmp_path)
    assert len(server.asked) == 4


def test_of_many_at_once_one_downloads_and_the_others_wait(server, tmp_path, told):
    server.wait.clear()
    paths, started = [], threading.Barrier(5)

    def ask():
        started.wait()
        paths.append(fetch(server.url, SHA256, tmp_path))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    for _ in range(2000):
        if sum(line.startswith("Waiting for another") for line in told.messages) == 3:
            break
        time.sleep(0.01)
    server.wait.set()
    for thread in threads:
        thread.join()
    assert paths == [tmp_path / f"tiny-{SHA256[:8]}.pth"] * 4
    assert paths[0].read_bytes() == CONTENT
    assert len(server.asked) == 1
    waiting = f"Waiting for another download of {paths[0].name}"
    assert told.messages.count(waiting) == 3


def test_where_nothing_can_be_locked_each_process_has_its_own_file(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(download, "fcntl", None)
    server.cuts = [CUT] + [0] * 3
    with pytest.raises(ConnectionError):
        fetch(server.url, SHA256, tmp_path)
    assert names_in(tmp_path) == [f"tiny-{SHA256[:8]}.pth.lock"]
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT


def test_without_a_network_it_says_where_to_put_the_file(server, tmp_path):
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError) as raised:
        fetch(url, SHA256, tmp_path)
    message = str(raised.value)
    assert f"no complete file from {url}: " in message
    assert "refused" in message
    assert f"put the file at {tmp_path / f'tiny-{SHA256[:8]}.pth'}. Presets" in message
    assert all(name in message for name in SHIPPED)
    assert raised.value.__suppress_context__  # three tracebacks would hide it


@pytest.mark.parametrize(
    "url", ["ftp://host/a.pth", "file:///a.pth", "a.pth", "https://", None]
)
def test_other_addresses_are_refused(url, tmp_path):
    with pytest.raises(ValueError, match=re.escape(f"received {url!r}. ")):
        fetch(url, SHA256, tmp_path)


@pytest.mark.parametrize("sha256", [None, "", "0" * 7, "0" * 65, "g" * 8, 12345678])
def test_nothing_is_downloaded_unverified(sha256, server, tmp_path):
    with pytest.raises(ValueError, match=re.escape(f"received sha256={sha256!r}.")):
        fetch(server.url, sha256, tmp_path)
    assert server.asked == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b-11111111.pth", "b-11111111.pth"),
        ("/b.pth?raw=true", "b-11111111.pth"),
        ("/", "checkpoint-11111111"),
        ("/..%2F..%2Fevil%00", "evil_-11111111"),
        ("/.hidden", "hidden-11111111"),
        ("/a%20b%5Cc.pth", "a_b_c-11111111.pth"),
    ],
)
def test_the_name_in_the_cache_is_a_plain_one(path, name):
    host = "http://127.0.0.1:9"
    assert download._file_name(host + path, Digest("sha256", "1" * 64)) == name


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    home = tmp_path / "home"
    for name in ("KERAS_FPN_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    usual = home / ".cache" / "keras_fpn" / "checkpoints"
    assert download.default_cache_dir() == usual
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # not allowed: ignored
    assert download.default_cache_dir() == usual
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    expected = tmp_path / "xdg" / "keras_fpn" / "checkpoints"
    assert download.default_cache_dir() == expected
    monkeypatch.setenv("KERAS_FPN_HOME", os.path.join("~", "fpn"))
    assert download.default_cache_dir() == home / "fpn" / "checkpoints"


def test_the_default_folder_is_used(server, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_FPN_HOME", str(tmp_path))
    assert fetch(server.url, SHA256).parent == tmp_path / "checkpoints"


@pytest.mark.parametrize("asked", [True, False])
def test_on_a_terminal_there_is_a_progress_bar_if_it_is_asked_for(
    server, monkeypatch, tmp_path, capsys, request, asked
):
    if asked:
        request.getfixturevalue("told")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stderr for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    fetch(server.url, SHA256, tmp_path)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    if not asked:
        assert shown == ""
        return
    assert "768.0/768.0 kB" in shown
    assert f"tiny-{SHA256[:8]}.pth" in shown
    assert "Downloading http" not in shown
