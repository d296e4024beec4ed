from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from video.clips import decoded, picture, write_clip

from keras_fpn.data.segments import mask_segment
from keras_fpn.report import detect_video
from keras_fpn.video import open_video
from keras_fpn.visualize import class_color, draw_detections, draw_semantic


def detected(detector, clip, target, *arguments, **settings):
    with open_video(clip) as video:
        return list(detect_video(detector, video, target, *arguments, **settings))


def assert_shows(pixels, drawn):
    """A decoded frame is a drawing, up to what encoding changes at edges."""
    difference = np.abs(pixels.astype(int) - np.asarray(drawn).astype(int))
    assert difference.mean() < 6


def test_each_frame_is_detected_in_alone_and_drawn(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 8, (96, 128))
    target = tmp_path / "out" / "b.mp4"
    frames = detected(detector, clip, target, min_size=64)
    assert [frame.number for frame in frames] == list(range(8))
    assert [frame.time for frame in frames] == [number / 10 for number in range(8)]
    assert [limits for _, limits in detector.calls] == [{"min_size": 64}] * 8
    assert frames[5].found["boxes"].tolist() == [[0, 0, 127, 96]]
    times, shown = decoded(target)
    np.testing.assert_allclose(times, [frame.time for frame in frames], atol=1e-6)
    plain = picture(5, (96, 128))
    drawn = draw_detections(
        plain, [[0, 0, 127, 96]], [1], [0.9], ("cat", "dog"), enlarge=False
    )
    assert shown[5].shape == (96, 128, 3)  # photos of this size are enlarged
    assert_shows(shown[5], drawn)
    with pytest.raises(AssertionError):
        assert_shows(shown[5], plain)


def test_every_nth_frame_plays_at_the_same_speed(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 8)
    frames = detected(detector, clip, tmp_path / "b.mp4", every=3)
    assert [frame.number for frame in frames] == [0, 3, 6]
    assert len(detector.calls) == 3
    np.testing.assert_allclose(decoded(tmp_path / "b.mp4")[0], [0, 0.3, 0.6])
    with open_video(tmp_path / "b.mp4") as video:  # the last frame is as long
        assert float(3 / video.rate) == pytest.approx(0.9, abs=0.01)


def test_frames_are_detected_in_as_they_come(detector, tmp_path):
    with open_video(write_clip(tmp_path / "a.mp4")) as video:
        frames = detect_video(detector, video, tmp_path / "b.mp4")
        next(frames)
        assert len(detector.calls) == 1
        next(frames)
        assert len(detector.calls) == 2
        assert not (tmp_path / "b.mp4").exists()
        frames.close()  # as a loop that is left, or Ctrl-C
    assert len(decoded(tmp_path / "b.mp4")[1]) == 2


def test_the_title_lies_over_the_top_of_each_frame(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 2, (96, 128))
    for name, title in (("plain.mp4", None), ("titled.mp4", "random weights")):
        detected(detector, clip, tmp_path / name, title)
    plain, titled = (
        decoded(tmp_path / name)[1] for name in ("plain.mp4", "titled.mp4")
    )
    for before, after in zip(plain, titled, strict=True):
        assert before.shape == after.shape == (96, 128, 3)
        np.testing.assert_allclose(after[2, 1], 32, atol=6)  # the strip's ground
        assert_shows(after[48:], before[48:])


def test_an_error_leaves_no_video(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4")
    plain = detector.detect

    def fail_later(images, **limits):
        if len(detector.calls) == 3:
            raise ValueError("later")
        return plain(images, **limits)

    detector.detect = fail_later
    with pytest.raises(ValueError, match="later"):
        detected(detector, clip, tmp_path / "out" / "b.mp4")
    assert list((tmp_path / "out").iterdir()) == []


def test_masks_are_drawn(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 1, (300, 400))
    mask = np.zeros((300, 400), bool)
    mask[200:280, 250:350] = True
    plain = detector.detect

    def detect(images, **limits):
        [found] = plain(images, **limits)
        return [{**found, "masks": [mask_segment(mask)]}]

    detector.detect = detect
    detected(detector, clip, tmp_path / "b.mp4")
    [shown] = decoded(tmp_path / "b.mp4")[1]
    tint = np.rint(0.6 * 20 + 0.4 * np.array(class_color(1)))
    np.testing.assert_allclose(shown[240, 300], tint, atol=8)
    np.testing.assert_allclose(shown[180, 300], 20, atol=8)


def test_objects_of_the_only_class_keep_one_color(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 1, (300, 400))
    boxes = [[50, 100, 150, 200], [250, 100, 350, 200]]
    found = {"boxes": np.array(boxes), "labels": [0, 0], "scores": [0.9, 0.8]}
    detector.class_names = ("cat",)
    detector.detect = lambda images, **limits: [found]
    detected(detector, clip, tmp_path / "b.mp4")
    [shown] = decoded(tmp_path / "b.mp4")[1]
    plain = picture(0, (300, 400))
    drawn = [
        draw_detections(plain, *found.values(), ("cat",), enlarge=False, colors=colors)
        for colors in ([0, 0], [0, 1])
    ]
    same, other = (np.abs(shown - np.asarray(one, int)).mean() for one in drawn)
    assert same < other / 2


def test_maps_are_drawn(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 1, (96, 128))
    labels = np.zeros((96, 128), np.uint8)
    labels[:, 64:] = 1
    detector.detect = lambda images, **limits: [{"semantic_map": labels}]
    [frame] = detected(detector, clip, tmp_path / "b.mp4")
    assert repr(frame) == "<DetectedFrame 0: 0.000 s, maps>"
    drawn = draw_semantic(picture(0, (96, 128)), labels, ("cat", "dog"), enlarge=False)
    [shown] = decoded(tmp_path / "b.mp4")[1]
    assert_shows(shown, drawn)


def test_a_frame_is_shown_as_one_line(detector, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 1)
    [frame] = detected(detector, clip, tmp_path / "b.mp4")
    assert repr(frame) == "<DetectedFrame 0: 0.000 s, 1 boxes>"


def test_small_pictures_are_enlarged_unless_asked_not_to():
    pixels = np.full((60, 80, 3), 90, np.uint8)
    box = [[5, 5, 60, 50]], [0], [0.5], ("cat",)
    assert draw_detections(pixels, *box).size == (480, 360)
    small = draw_detections(pixels, *box, enlarge=False)
    assert isinstance(small, Image.Image)
    assert small.size == (80, 60)
    color = np.array(class_color(0))
    assert (np.asarray(small)[30] == color).all(axis=1).any()  # the box's sides


def test_a_turned_video_is_written_upright(detector, tmp_path):
    clip = write_clip(
        tmp_path / "a.mp4", 2, (96, 128), turn=(90,), aspect=Fraction(4, 3)
    )
    [frame, _] = detected(detector, clip, tmp_path / "b.mp4")
    assert frame.found["boxes"].tolist() == [[0, 0, 95, 128]]
    with open_video(tmp_path / "b.mp4") as video:
        [first, _] = video.frames()
        assert first.pixels.shape == (128, 96, 3)
        assert video.pixel_aspect == Fraction(3, 4)
