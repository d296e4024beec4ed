"""`keras-fpn detect` with videos and cameras."""

import contextlib
import errno
import json
import os
import re
import signal
import sys

import av
import numpy as np
import pytest
from PIL import Image
from video.clips import decoded, write_clip, write_sound

import keras_fpn.video
from keras_fpn import cli
from keras_fpn.cli import detect
from keras_fpn.cli.input_photos import is_video
from keras_fpn.video import VideoReader


@pytest.fixture
def called(tmp_path, monkeypatch, detector):
    """Runs `keras-fpn detect`; returns its exit code, its results and what it saved."""
    monkeypatch.setattr(detect, "load_detector", lambda *_: (detector, None))

    def call(*words):
        out, found = tmp_path / "out", tmp_path / "found.json"
        argv = ["detect", *words, "--output", out, "--json", found]
        code = cli.main([str(argument) for argument in argv])
        saved = sorted(path.name for path in out.iterdir())
        return code, json.loads(found.read_text("utf-8")), saved

    return call


@pytest.fixture
def clip(tmp_path):
    """A video of 6 frames."""
    return write_clip(tmp_path / "clip.mov", codec="mpeg4")


def test_a_video_becomes_a_video_and_results_by_frame(called, clip, tmp_path, capsys):
    code, results, saved = called(clip)
    assert (code, saved) == (0, ["clip.mp4"])
    assert results[2] == {
        "image_id": 2,
        "category_id": 18,
        "bbox": [0.0, 0.0, 63.0, 48.0],
        "score": 0.9,
        "file_name": clip.as_posix(),
        "frame": 2,
        "time": 0.2,
        "category_name": "dog",
    }
    assert [one["frame"] for one in results] == [0, 1, 2, 3, 4, 5]
    assert len(decoded(tmp_path / "out" / "clip.mp4")[1]) == 6
    out, err = capsys.readouterr()
    said = rf"1 video of 6 frames, 6 boxes, \S+ s; video: {tmp_path}/out/clip.mp4; "
    assert re.fullmatch(rf"{said}results: {tmp_path}/found.json\n", out)
    assert err == ""


def test_image_ids_go_on_from_photo_to_video_to_video(called, clip, tmp_path, capsys):
    Image.new("RGB", (40, 50)).save(tmp_path / "139.png")
    (tmp_path / "b").mkdir()
    second = write_clip(tmp_path / "b" / "CLIP.MKV", 3)
    code, results, saved = called(clip, tmp_path / "139.png", second)
    assert (code, saved) == (0, ["139.png", "CLIP_2.mp4", "clip.mp4"])
    ids = [(one["image_id"], one.get("frame")) for one in results]
    assert ids == [
        (139, None),
        *((140 + frame, frame) for frame in range(6)),
        *((146 + frame, frame) for frame in range(3)),
    ]
    said = capsys.readouterr().out
    assert said.startswith("1 photo, 2 videos of 9 frames, 10 boxes, ")
    assert f"; picture: {tmp_path}/out/139.png; videos in {tmp_path}/out; " in said


def test_every_nth_frame(called, clip):
    _, results, _ = called(clip, "--every", "2")
    assert [(one["image_id"], one["time"]) for one in results] == [
        (0, 0.0),
        (2, 0.2),
        (4, 0.4),
    ]


def test_options_of_detection_reach_every_frame(called, clip, detector):
    called(clip, "--min-size", "64", "--threshold", "0.4", "--flip")
    expected = {
        "min_size": 64,
        "max_size": None,
        "score_threshold": 0.4,
        "max_detections": None,
        "scales": None,
        "flip": True,
        "merge": "nms",
    }
    assert [limits for _, limits in detector.calls] == [expected] * 6


def test_videos_in_folders_are_left_out_and_counted(called, clip, tmp_path, capsys):
    Image.new("RGB", (40, 50)).save(tmp_path / "a.png")
    code, _, saved = called(tmp_path)
    assert (code, saved) == (0, ["a.png"])
    assert "1 .mov" in capsys.readouterr().out


def test_failures_are_a_line_each_and_the_others_go_on(called, clip, tmp_path, capsys):
    bad = tmp_path / "text.mp4"
    bad.write_text("no video")
    sound = write_sound(tmp_path / "sound.mp4")
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    narrow = write_clip(tmp_path / "narrow.avi", size=(10, 13), codec="mpeg4")
    failing = [bad, sound, pipe, narrow]
    code, results, saved = called(*failing, clip)
    assert (code, len(results), saved) == (1, 6, ["clip.mp4"])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(one) for one in failing]
    assert "in none of them, or its start is damaged" in lines[0]
    assert "which has audio" in lines[1]
    assert "pipe or device" in lines[2]
    assert "Both sides must" in lines[3]
    assert "1 video of 6 frames" in out
    assert "; 4 videos failed; " in out


def test_a_video_that_fails_midway_keeps_the_ids_of_its_results(
    called, clip, tmp_path, detector, capsys
):
    plain = detector.detect

    def fail_once(images, **limits):
        if len(detector.calls) == 3:
            detector.calls.append(images)
            raise ValueError("Too bright.")
        return plain(images, **limits)

    detector.detect = fail_once
    code, results, saved = called(clip, write_clip(tmp_path / "b [x].mp4"))
    assert (code, saved) == (1, ["b [x].mp4"])
    assert [one["image_id"] for one in results] == [0, 1, 2, *range(4, 10)]
    assert f"{clip}: Too bright.\n" in capsys.readouterr().err


def test_results_that_cannot_be_written_end_the_command(
    called, clip, tmp_path, monkeypatch, capsys
):
    @contextlib.contextmanager
    def full(path):
        def write(results):
            raise OSError(errno.ENOSPC, "No space left on device")

        yield write

    (tmp_path / "found.json").write_text("[]")
    monkeypatch.setattr(detect, "_results_file", full)
    # The frame is whole, and so is its video.
    assert called(clip, write_clip(tmp_path / "b.mp4")) == (1, [], ["clip.mp4"])
    assert capsys.readouterr().err == (
        "keras-fpn: error: The results could not be written: [Errno 28] No space left "
        "on device\n"
    )


def test_a_damaged_video_keeps_what_could_be_read(called, tmp_path, capsys):
    clip = write_clip(tmp_path / "clip.mp4", 60, noise=255)
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) * 2 // 3])
    code, results, saved = called(clip)
    assert (code, saved) == (1, ["clip.mp4"])
    frames = decoded(tmp_path / "out" / "clip.mp4")[1]
    assert 30 <= len(results) == len(frames) <= 45
    out, err = capsys.readouterr()
    assert f"{clip}: It is damaged: 1 packet could not be decoded, and it " in err
    assert len(err.splitlines()) == 1
    assert "; 1 video damaged; " in out


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_completes_what_is_done(
    called, clip, tmp_path, detector, ending, capsys
):
    plain = detector.detect

    def detect_three(images, **limits):
        if len(detector.calls) == 2:
            os.kill(os.getpid(), ending)
        return plain(images, **limits)

    detector.detect = detect_three
    before = signal.getsignal(ending)
    code, results, saved = called(clip, write_clip(tmp_path / "second.mp4"))
    assert signal.getsignal(ending) is before
    assert (code, len(results), saved) == (130, 3, ["clip.mp4"])
    assert len(decoded(tmp_path / "out" / "clip.mp4")[1]) == 3
    assert "; interrupted; " in capsys.readouterr().out


def test_a_second_ctrl_c_ends_at_once(called, clip, tmp_path, detector):
    plain = detector.detect

    def interrupt(images, **limits):
        if len(detector.calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return plain(images, **limits)

    detector.detect = interrupt
    code, results, saved = called(clip)
    assert (code, len(results), saved) == (130, 2, ["clip.mp4"])
    assert len(decoded(tmp_path / "out" / "clip.mp4")[1]) == 2


def test_ctrl_c_before_the_first_frame_leaves_nothing(called, clip, detector):
    def interrupt(images, **limits):
        raise KeyboardInterrupt

    detector.detect = interrupt
    assert called(clip) == (130, [], [])


def test_photos_that_were_interrupted_are_not_followed_by_videos(
    called, clip, tmp_path, detector
):
    def interrupt(images, **limits):
        detector.calls.append(images)
        raise KeyboardInterrupt

    detector.detect = interrupt
    Image.new("RGB", (40, 50)).save(tmp_path / "a.png")
    assert called(tmp_path / "a.png", clip) == (130, [], [])
    assert len(detector.calls) == 1


def test_a_model_without_objects_gets_no_limits(called, clip, detector):
    detector.targets = ("semantic_map",)

    def label(images, **limits):
        assert limits.keys() == {"min_size", "max_size"}
        return [{"semantic_map": np.ones(images[0].shape[:2], np.uint8)}]

    detector.detect = label
    assert called(clip) == (0, [], ["clip.mp4"])


@pytest.fixture
def camera(monkeypatch, detector):
    """FFmpeg's test picture as a camera, which Ctrl-C ends after 3 frames."""
    opened = []

    @contextlib.contextmanager
    def open_camera(number):
        opened.append(number)
        pattern = "testsrc=size=64x48:rate=20"  # without an end
        with av.open(pattern, format="lavfi") as container:
            yield VideoReader(container, f"webcam{number}")

    plain = detector.detect

    def detect_three(images, **limits):
        if len(detector.calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(images, **limits)

    detector.detect = detect_three
    monkeypatch.setattr(keras_fpn.video, "open_camera", open_camera)
    return opened


@pytest.mark.parametrize(("words", "number"), [([], 0), (["2"], 2)])
def test_a_camera_is_recorded_until_ctrl_c(
    called, camera, tmp_path, capsys, words, number
):
    code, results, [saved] = called("--webcam", *words)
    assert camera == [number]
    assert code == 0  # it has no other end
    stamp = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d"
    assert re.fullmatch(rf"webcam{number}_{stamp}\.mp4", saved)
    assert [(one["file_name"], one["frame"]) for one in results] == [
        (f"webcam{number}", frame) for frame in range(3)
    ]
    times, _ = decoded(tmp_path / "out" / saved)
    np.testing.assert_allclose(times, [0, 0.05, 0.1])
    assert "interrupted" not in capsys.readouterr().out


def test_a_camera_that_is_not_there_is_a_line(called, capsys):
    if sys.platform != "linux":
        pytest.skip("cameras have other names here")
    assert called("--webcam", "63") == (1, [], [])
    err = capsys.readouterr().err
    assert err == (
        "webcam63: A camera must be one that can be opened; received number=63, "
        "/dev/video63: no such file or directory.\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CLIP", "--webcam"], "--webcam must stand without photos and videos"),
        (["--webcam", "1", "--sample"], "--webcam must stand without photos and video"),
        (["CLIP", "--proposals", "p.json"], "--proposals must be given for photos al"),
        (["CLIP", "--panoptic", "p.json"], "--panoptic must be given for photos alone"),
        (["--webcam", "--proposals", "p.json"], "received it with --webcam 0. Leave"),
        (["0"], "'0', which does not exist. For a camera: --webcam 0."),
        (["absent.mp4"], "'absent.mp4', which does not exist.\n"),
    ],
)
def test_what_does_not_go_together_is_an_error(called, clip, capsys, words, message):
    words = [clip if word == "CLIP" else word for word in words]
    argv = ["detect", *words, "--output", clip.parent / "out"]
    assert cli.main([str(word) for word in argv]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--webcam", "-1"], "must be 0 to 63; received -1"),
        (["--webcam", "clip.mp4"], "invalid camera value: 'clip.mp4'"),
        (["clip.mp4", "--every", "0"], "must be at least 1; received 0"),
        (["--camera"], "did you mean --webcam?"),
        (["--vid-stride", "2"], "did you mean --every?"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(capsys, words, message):
    with pytest.raises(SystemExit):
        cli.main(["detect", *words])
    assert message in capsys.readouterr().err


def test_a_detector_must_make_its_own_proposals(called, clip, detector, capsys):
    detector.extra_inputs = ("proposals",)
    argv = ["detect", clip, "--output", clip.parent / "out"]
    assert cli.main([str(word) for word in argv]) == 2
    said = "makes its own proposals; received a FakeDetector."
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("webcam", [False, True])
def test_without_pyav_the_command_says_what_to_install(
    clip, monkeypatch, capsys, webcam
):
    monkeypatch.setitem(sys.modules, "av", None)
    words = ["--webcam"] if webcam else [str(clip)]
    assert cli.main(["detect", *words]) == 2
    assert capsys.readouterr().err == (
        "keras-fpn: error: Reading videos needs av, which is not installed. Install it "
        f'with: {sys.executable} -m pip install "keras-fpn[video]"\n'
    )


def test_photos_need_no_pyav(called, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    Image.new("RGB", (40, 50)).save(tmp_path / "a.png")
    assert called(tmp_path / "a.png")[0] == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp4", True),
        ("b/A.MOV", True),
        ("https://example.org/a.webm?x=1.jpg", True),
        ("https://example.org/a.jpg?x=1.mp4", False),
        ("a.gif", False),
        ("mp4", False),
        ("folder.mp4/a.jpg", False),
    ],
)
def test_the_suffix_tells_a_video(name, expected):
    assert is_video(name) == expected


def test_help_is_there_without_pyav(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SystemExit):
        cli.main(["detect", "--help"])
    out = capsys.readouterr().out
    assert "--webcam [N]" in out
    assert "--every N" in out
