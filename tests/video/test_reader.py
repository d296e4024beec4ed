import os
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from video.clips import RED, picture, write_clip, write_sound

from keras_fpn.video import open_video
from keras_fpn.video.reader import _Clock

TOLERANCE = 6  # gray levels that encoding at usual quality may change


def read(path, every=1):
    with open_video(path) as video:
        return list(video.frames(every)), video


def assert_near(pixels, expected):
    """Colors at the edges of the quarter are smeared; medians of parts are not."""
    rows, columns = np.array(expected.shape[:2]) // 2
    for part in np.ndindex(2, 2):
        y, x = np.array(part) * (rows, columns)
        window = slice(y + 4, y + rows - 4), slice(x + 4, x + columns - 4)
        got, wanted = (
            np.median(each[window], axis=(0, 1)) for each in (pixels, expected)
        )
        np.testing.assert_allclose(got, wanted, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "mpeg4"),
        ("a.mkv", "libx265"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
    ],
)
def test_frames_come_with_their_numbers_times_and_pixels(tmp_path, name, codec):
    path = write_clip(tmp_path / name, 12, codec=codec)
    frames, video = read(path)
    assert [frame.number for frame in frames] == list(range(12))
    times = [round(float(frame.time), 3) for frame in frames]
    assert times == [round(number / 10, 3) for number in range(12)]
    for number in (0, 5, 11):
        assert frames[number].pixels.dtype == np.uint8
        assert_near(frames[number].pixels, picture(number))
    assert (video.rate, video.num_frames, video.damage) == (10, 12, "")


def test_what_is_printed_is_short(tmp_path):
    [frame], video = read(write_clip(tmp_path / "a.mp4", 1))
    assert repr(frame) == "<Frame 0: 0.000 s, 48 x 64>"
    assert repr(video) == f"<VideoReader {tmp_path / 'a.mp4'}: 10 frames per second>"


def test_content_decides_and_not_the_name(tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    other = path.rename(tmp_path / "http:a.txt")
    assert len(read(other)[0]) == 6
    odd = os.fsdecode(b"b\xff.mp4")
    os.rename(other, tmp_path / odd)
    assert len(read(tmp_path / odd)[0]) == 6


def test_every_nth_frame_keeps_its_number_and_time(tmp_path):
    frames, video = read(write_clip(tmp_path / "a.mp4", 8), every=3)
    assert [frame.number for frame in frames] == [0, 3, 6]
    assert [float(frame.time) for frame in frames] == [0, 0.3, 0.6]
    assert_near(frames[1].pixels, picture(3))
    assert video.num_read == 8


def test_uneven_times_are_kept(tmp_path):
    times = [0, 33, 66, 500, 533, 2000]
    for name in ("a.mp4", "a.mkv"):
        frames, _ = read(write_clip(tmp_path / name, times=times))
        assert [round(1000 * frame.time) for frame in frames] == times


@pytest.mark.parametrize(
    ("turn", "shape", "corner"),
    [  # of the red quarter, which is stored at the upper left: (bottom?, right?)
        ((0,), (48, 64), (0, 0)),
        ((90,), (64, 48), (1, 0)),  # counterclockwise
        ((180,), (48, 64), (1, 1)),
        ((-90,), (64, 48), (0, 1)),
        ((0, True, False), (48, 64), (0, 1)),
        ((0, False, True), (48, 64), (1, 0)),
        ((90, True, False), (64, 48), (1, 1)),  # mirrored, then turned
        ((-90, True, False), (64, 48), (0, 0)),
    ],
)
def test_frames_are_upright(tmp_path, turn, shape, corner):
    path = write_clip(tmp_path / "a.mp4", 2, turn=turn)
    for frame in read(path)[0]:
        assert frame.pixels.shape == (*shape, 3)
        assert frame.pixels.flags.c_contiguous
        quarters = [
            (y, x)
            for y, x in np.ndindex(2, 2)
            if frame.pixels[shape[0] * (1 + 2 * y) // 4, shape[1] * (1 + 2 * x) // 4, 0]
            > 150
        ]
        assert quarters == [corner]


def test_turns_are_those_that_pyav_reads(tmp_path):
    for degrees in (90, 180, -90):
        path = write_clip(tmp_path / "a.mp4", 1, turn=(degrees,))
        with av.open(str(path)) as container:
            [frame] = container.decode(video=0)
        stored = frame.to_ndarray(format="rgb24")
        [shown], _ = read(path)
        turned = np.rot90(stored, frame.rotation // 90)
        np.testing.assert_array_equal(shown.pixels, turned)


def test_the_shape_of_pixels_turns_with_the_frame(tmp_path):
    aspect = Fraction(4, 3)
    _, upright = read(write_clip(tmp_path / "a.mp4", 1, aspect=aspect))
    _, turned = read(write_clip(tmp_path / "b.mp4", 1, aspect=aspect, turn=(90,)))
    assert (upright.pixel_aspect, turned.pixel_aspect) == (aspect, 1 / aspect)


def test_frames_that_change_their_size_keep_that_of_the_first(tmp_path):
    parts = [
        write_clip(tmp_path / name, 5, size).read_bytes()
        for name, size in (("a.ts", (48, 64)), ("b.ts", (96, 128)))
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    frames, _ = read(path)
    assert len(frames) == 10
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert_near(frames[-1].pixels, picture(4))
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))  # although the second part starts again


def test_memory_does_not_grow_with_the_length(tmp_path):
    seen, alive = [], []
    with open_video(write_clip(tmp_path / "a.mp4", 40)) as video:
        for frame in video.frames():
            seen.append(weakref.ref(frame.pixels))
            alive.append(sum(pixels() is not None for pixels in seen))
    assert len(alive) == 40
    assert max(alive) <= 2


def test_a_video_that_is_cut_off_says_so(tmp_path):
    whole = write_clip(tmp_path / "a.mp4", 60, noise=255).read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    frames, video = read(tmp_path / "b.mp4")
    assert 30 <= len(frames) <= 45
    assert video.damage.startswith("1 packet could not be decoded, and it ends after ")
    assert video.damage.endswith(" of 6.0 s")
    whole = write_clip(tmp_path / "a.mkv", 60, noise=255).read_bytes()
    (tmp_path / "b.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    assert " of 6.0 s" in read(tmp_path / "b.mkv")[1].damage


def test_sound_that_goes_on_is_no_damage(tmp_path):
    of_windows = {"codec": "msmpeg4v3", "sound_codec": "ac3"}
    for name, kinds in {"a.mp4": {}, "a.mkv": {}, "a.wmv": of_windows}.items():
        path = write_clip(tmp_path / name, 10, sound=4, **kinds)
        frames, video = read(path)
        assert (len(frames), video.damage) == (10, "")


def test_frames_that_cannot_be_decoded_are_left_out_and_counted(tmp_path):
    path = write_clip(tmp_path / "a.mp4", 20, noise=255)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets[5], packets[9]:  # the lengths of their parts
        content[packet.pos : packet.pos + 4] = b"\xff" * 4
    path.write_bytes(content)
    frames, video = read(path)
    assert [round(10 * frame.time) for frame in frames] == [
        number for number in range(20) if number not in (5, 9)
    ]
    assert video.damage == "2 packets could not be decoded"


def unreadable(folder, kind):
    """A file that is no video."""
    path = folder / f"{kind}.mp4"
    if kind == "text":
        path.write_text("no video\n" * 100)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "photo":
        Image.new("RGB", (64, 48)).save(path, "PNG")
    elif kind == "list of files":
        write_clip(folder / "real.mp4")
        path.write_text("ffconcat version 1.0\nfile real.mp4\n")
    elif kind == "playlist":
        write_clip(folder / "real.ts")
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.ts\n")
    elif kind == "half":  # its index, at the end, is missing
        whole = write_clip(folder / "whole.mkv").read_bytes()
        path.write_bytes(whole[:40])
    return path


@pytest.mark.parametrize(
    "kind", ["text", "empty", "photo", "list of files", "playlist", "half"]
)
def test_what_is_no_video_is_refused_by_name(tmp_path, kind):
    path = unreadable(tmp_path, kind)
    with pytest.raises(ValueError, match="A video must") as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_video_must_have_pictures(tmp_path):
    path = write_sound(tmp_path / "a.mp4")
    message = r"must have pictures; received video='.*a\.mp4', which has audio\."
    with pytest.raises(ValueError, match=message):
        read(path)


def test_a_video_must_have_frames(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    message = r"frames that can be decoded; received video='.*a\.avi' without one\."
    with pytest.raises(ValueError, match=message):
        read(path)


def test_pipes_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(OSError, match="no regular file, but a pipe"):
        read(tmp_path / "a.mp4")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.mp4")


def test_pixels_are_bounded_as_those_of_photos(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 * 64 - 1)
    message = r"at most 3071 pixels; received video='.*a\.mp4' of 64x48\."
    with pytest.raises(ValueError, match=message):
        read(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(read(path)[0]) == 6


def test_frames_that_grow_are_bounded_too(tmp_path, monkeypatch):
    parts = [  # long enough that the larger ones are not seen at the start
        write_clip(tmp_path / name, 40, size, rate=2).read_bytes()
        for name, size in (("a.ts", (48, 64)), ("b.ts", (480, 640)))
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    assert len(read(path)[0]) == 80
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 480 * 640 - 1)
    frames, video = read(path)
    assert len(frames) == 40
    assert video.damage.endswith("packets could not be decoded")


class StoredFrame:
    """A frame of PyAV as far as `_Clock` reads it."""

    def __init__(self, pts, duration=None):
        self.pts, self.duration = pts, duration


@pytest.mark.parametrize(
    ("stored", "times"),
    [
        ([7, 17, 27], [0, 1, 2]),  # the first is at 0
        ([None, None, None], [0, 0.5, 1]),  # steps of the mean rate
        ([0, None, 20], [0, 0.5, 2]),
        ([0, 10, 10, 5, 40], [0, 1, 1.5, 2, 4]),  # never back
        ([None, 30, 40], [0, 0.5, 1.5]),
    ],
)
def test_times_start_at_0_and_increase(stored, times):
    clock = _Clock(Fraction(1, 10), Fraction(1, 2))
    assert [float(clock.time_of(StoredFrame(pts))) for pts in stored] == times


def test_a_video_ends_with_its_last_frame():
    clock = _Clock(Fraction(1, 10), Fraction(1, 2))
    for pts in (0, 10):
        clock.time_of(StoredFrame(pts, duration=7))
    assert clock.missing(2.6) == ""  # 1.0 s and the 0.7 s of the frame
    assert clock.missing(2.8) == "it ends after 1.7 of 2.8 s"
    assert clock.missing(None) == ""


def test_red_is_red(tmp_path):
    [frame], _ = read(write_clip(tmp_path / "a.mp4", 1))
    np.testing.assert_allclose(frame.pixels[12, 16], RED, atol=TOLERANCE)
