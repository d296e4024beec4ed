import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video.clips import RED, decoded, picture

from keras_fpn.video import VideoWriter, open_video, writer

RATE = Fraction(30000, 1001)
BASE = Fraction(1, 30000)


def written(path, pictures, times=None, base=BASE, rate=RATE, **settings):
    with VideoWriter(path, rate, base, **settings) as video:
        for number, pixels in enumerate(pictures):
            time = times[number] if times else Fraction(1001 * number, 30000)
            video.write(pixels, time)


def stream_of(path):
    with av.open(str(path)) as container:
        [stream] = container.streams
        context = stream.codec_context
        seconds = float(stream.duration * stream.time_base)
        return context, stream.average_rate, seconds, stream.sample_aspect_ratio


def test_pictures_come_back_at_their_rate(tmp_path):
    path = tmp_path / "new" / "a.mp4"
    written(path, [picture(number) for number in range(30)])
    context, rate, seconds, _ = stream_of(path)
    assert (context.name, rate, context.pix_fmt) == ("h264", RATE, "yuv420p")
    assert seconds == pytest.approx(30 * 1001 / 30000)
    times, frames = decoded(path)
    np.testing.assert_allclose(times, np.arange(30) * 1001 / 30000, atol=1e-6)
    assert len(list(path.parent.iterdir())) == 1
    for number in (0, 29):
        assert frames[number].shape == (48, 64, 3)
        np.testing.assert_allclose(frames[number][12, 16], RED, atol=6)
        np.testing.assert_allclose(frames[number][36, 48], 20 + 4 * number, atol=6)


def test_colors_are_marked_as_those_of_high_definition(tmp_path):
    written(tmp_path / "a.mp4", [picture(0)])
    with av.open(str(tmp_path / "a.mp4")) as container:
        [frame] = container.decode(video=0)
    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1)
    assert frame.color_range == 1  # 16 to 235


def test_uneven_times_and_the_length_are_kept(tmp_path):
    times = [Fraction(t, 1000) for t in (0, 33, 66, 500, 533, 2000)]
    pictures = [picture(number) for number in range(6)]
    written(tmp_path / "a.mp4", pictures, times, Fraction(1, 1000))
    found = decoded(tmp_path / "a.mp4")[0]
    np.testing.assert_allclose(found, [float(time) for time in times], atol=1e-6)
    assert stream_of(tmp_path / "a.mp4")[2] == pytest.approx(2.033, abs=0.001)


@pytest.mark.parametrize(
    "rate",
    [Fraction(1643172401, 54765962) / 60, Fraction(1, 10**9), Fraction(90000)],
)
def test_a_rate_of_any_digits_is_taken(tmp_path, rate):
    pictures, times = [picture(0), picture(1)], [Fraction(0), Fraction(2)]
    written(tmp_path / "a.mp4", pictures, times, Fraction(1, 90000), rate)
    np.testing.assert_allclose(decoded(tmp_path / "a.mp4")[0], [0, 2], atol=1e-4)


def test_times_closer_than_the_base_do_not_meet(tmp_path):
    times = [Fraction(t, 10000) for t in (0, 1, 2, 3)]
    written(tmp_path / "a.mp4", [picture(0)] * 4, times, Fraction(1, 1000))
    np.testing.assert_allclose(decoded(tmp_path / "a.mp4")[0], [0, 0.001, 0.002, 0.003])


@pytest.mark.parametrize(
    ("size", "even"), [((47, 63), (48, 64)), ((1, 1), (2, 2)), ((48, 63), (48, 64))]
)
def test_odd_sides_get_their_last_pixels_twice(tmp_path, size, even):
    pixels = np.full((*size, 3), 60, np.uint8)
    pixels[-5:], pixels[:, -5:] = 200, 200
    written(tmp_path / "a.mp4", [pixels])
    [frame] = decoded(tmp_path / "a.mp4")[1]
    assert frame.shape == (*even, 3)
    np.testing.assert_allclose(frame[-1, -1], 200, atol=6)


def test_pixels_that_are_not_square_stay_so(tmp_path):
    written(tmp_path / "a.mp4", [picture(0)], pixel_aspect=Fraction(16, 15))
    assert stream_of(tmp_path / "a.mp4")[3] == Fraction(16, 15)


@pytest.mark.parametrize("base", [BASE, Fraction(1, 1000000)])
def test_without_h264_there_is_mpeg4(tmp_path, monkeypatch, base):
    encoders = {"no_such_encoder": {}, "mpeg4": writer._ENCODERS["mpeg4"]}
    monkeypatch.setattr(writer, "_ENCODERS", encoders)
    written(tmp_path / "a.mp4", [picture(number) for number in range(30)], base=base)
    assert stream_of(tmp_path / "a.mp4")[0].name == "mpeg4"
    times, frames = decoded(tmp_path / "a.mp4")
    np.testing.assert_allclose(times, np.arange(30) * 1001 / 30000, atol=2e-5)
    np.testing.assert_allclose(frames[29][36, 48], 20 + 4 * 29, atol=6)


def test_a_build_without_encoders_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_ENCODERS", {"no_such_encoder": {}})
    with pytest.raises(OSError, match="one of the encoders no_such_encoder"):
        written(tmp_path / "a.mp4", [picture(0)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, GeneratorExit])
def test_an_interruption_keeps_what_was_written(tmp_path, end):
    def write():
        with VideoWriter(tmp_path / "a.mp4", RATE, BASE) as video:
            for number in range(9):
                video.write(picture(number), Fraction(number, 30))
            raise end

    with pytest.raises(end):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert len(decoded(tmp_path / "a.mp4")[1]) == 9


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")

    def fail():
        with VideoWriter(path, RATE, BASE) as video:
            video.write(picture(0), Fraction(0))
            raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("end", [None, KeyboardInterrupt])
def test_without_a_picture_there_is_no_file(tmp_path, end):
    try:
        with VideoWriter(tmp_path / "a.mp4", RATE, BASE):
            if end:
                raise end
    except KeyboardInterrupt:
        pass
    assert list(tmp_path.iterdir()) == []


def test_pictures_have_one_size(tmp_path):
    message = r"one size, \(48, 64, 3\); received pixels of shape \(50, 64, 3\)"
    with pytest.raises(ValueError, match=message):
        written(tmp_path / "a.mp4", [picture(0), picture(1, (50, 64))])
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_h264_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"size that libx264 encodes; .* 20000x30: "):
        written(tmp_path / "a.mp4", [np.zeros((30, 20000, 3), np.uint8)])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    link = tmp_path / "a.mp4"
    link.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"a\.mp4 could not be written: no space"):
        written(link, [picture(0)])


def test_a_file_that_may_not_grow_is_an_error(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 120, 160, 3), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"a\.mp4 could not be written: "):
            written(tmp_path / "a.mp4", noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_can_be_read(tmp_path):
    written(tmp_path / "a.mp4", [picture(number) for number in range(5)])
    with open_video(tmp_path / "a.mp4") as video:
        assert (video.rate, video.time_base) == (RATE, BASE)
        assert [frame.number for frame in video.frames()] == [0, 1, 2, 3, 4]
