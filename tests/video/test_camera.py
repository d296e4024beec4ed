"""Cameras, with FFmpeg's test picture in their place: no machine of ours had one."""

import sys
from types import SimpleNamespace

import av
import pytest

from keras_fpn.video import VideoReader, camera, open_camera

PATTERN = "testsrc=size=64x48:rate=20:duration=0.5"


@pytest.fixture
def opened(monkeypatch):
    """Opens the test picture instead of a camera; returns what was asked for."""
    asked, plain = [], av.open

    def open_pattern(file, **settings):
        asked.append((file, settings))
        return plain(PATTERN, format="lavfi")

    monkeypatch.setattr(av, "open", open_pattern)
    return asked


@pytest.mark.parametrize(
    ("platform", "file", "settings"),
    [
        ("linux", "/dev/video1", {"format": "v4l2"}),
        (
            "darwin",
            "1",
            {"format": "avfoundation", "options": {"framerate": "30"}},
        ),
        ("win32", "video=Back", {"format": "dshow"}),
    ],
)
def test_a_camera_is_opened_as_its_system_names_it(
    monkeypatch, opened, platform, file, settings
):
    monkeypatch.setattr(sys, "platform", platform)
    devices = [
        SimpleNamespace(name=name, media_types=[kind])
        for name, kind in (("Front", "video"), ("Sound", "audio"), ("Back", "video"))
    ]
    monkeypatch.setattr(av.device, "enumerate_input_devices", lambda _: devices)
    with open_camera(1) as video:
        frames = list(video.frames())
    assert opened == [(file, settings)]
    assert [frame.pixels.shape for frame in frames] == [(48, 64, 3)] * 10
    assert (video.rate, video.num_frames) == (20, None)
    assert float(frames[-1].time) == 0.45


class Slow:
    """A container that has no packet at first, as cameras of macOS."""

    def __init__(self, container, waits):
        self._container, self.waits = container, waits

    def __getattr__(self, name):
        return getattr(self._container, name)

    def demux(self, stream):
        if self.waits:
            self.waits -= 1
            raise av.error.BlockingIOError(11, "Resource temporarily unavailable")
        return self._container.demux(stream)


def test_a_camera_that_has_no_frame_yet_is_asked_again():
    with av.open(PATTERN, format="lavfi") as container:
        video = VideoReader(Slow(container, 3), "slow")
        assert len(list(video.frames())) == 10
        assert video.damage == ""


def test_a_camera_without_frames_and_the_frames_between_can_be_stopped():
    with av.open(PATTERN, format="lavfi") as container:
        slow = Slow(container, 10**9)
        asked = iter([False] * 3 + [True] * 99)
        frames = VideoReader(slow, "slow").frames(stopped=lambda: next(asked))
        assert list(frames) == []
        assert 10**9 - slow.waits == 3
    with av.open(PATTERN, format="lavfi") as container:
        video = VideoReader(container, "usual")
        found = [frame.number for frame in video.frames(4, lambda: video.num_read == 6)]
        assert (found, video.num_read, video.damage) == ([0, 4], 6, "")


def test_a_camera_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(OSError, match=r"number=63, /dev/video63: no such file"):
        with open_camera(63):
            pass
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(av.device, "enumerate_input_devices", lambda _: [])
    with pytest.raises(OSError, match=r"one of the 0 of this machine.* number=0\."):
        with open_camera(0):
            pass


def test_systems_formats_are_those_of_ffmpeg():
    if sys.platform == "linux":
        _, settings = camera._device(av, 0)
        assert settings["format"] in "video4linux2,v4l2".split(",")
        assert "video4linux2,v4l2" in av.formats_available
