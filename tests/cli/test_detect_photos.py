"""`keras-fpn detect` with several photos: failures, interruption, results."""

import json
import os
import signal
import warnings

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from keras_fpn import cli
from keras_fpn.cli import detect
from keras_fpn.cli.options import MERGES
from keras_fpn.data import read_coco_panoptic
from keras_fpn.models import StuffSet, image_pyramid
from keras_fpn.preprocessing import read_photo


@pytest.fixture
def called(tmp_path, monkeypatch, detector):
    """Runs `keras-fpn detect`; returns its exit code, its results and its pictures."""
    monkeypatch.setattr(detect, "load_detector", lambda *_: (detector, None))

    def call(*photos):
        out, found = tmp_path / "out", tmp_path / "found.json"
        argv = ["detect", *photos, "--output", out, "--json", found]
        code = cli.main([str(argument) for argument in argv])
        pictures = sorted(path.name for path in out.iterdir())
        return code, json.loads(found.read_text("utf-8")), pictures

    return call


def test_results_are_cocos_with_names(called, tmp_path):
    photo = tmp_path / "some" / "139.jpg"
    photo.parent.mkdir()
    Image.new("RGB", (40, 50)).save(photo)
    code, results, _ = called(photo)
    assert code == 0
    assert results == [
        {
            "image_id": 139,
            "category_id": 18,
            "bbox": [0.0, 0.0, 39.0, 50.0],  # x, y, width, height
            "score": 0.9,
            "file_name": photo.as_posix(),
            "category_name": "dog",
        }
    ]


def test_a_failed_photo_is_a_line_and_the_others_are_detected(folder, called, capsys):
    Image.new("RGB", (13, 9)).save(folder / "aa.png")  # the fake raises for it
    code, results, pictures = called(folder)
    assert code == 1
    assert pictures == ["a.png", "b.jpg"]
    # Numbers stay the photos' own: 1 a.png, 2 aa.png, 3 b.jpg, 4 broken.JPG.
    assert [result["image_id"] for result in results] == [1, 3]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{folder / 'aa.png'}: Both sides")
    assert first.endswith("received size=13.")
    assert second.startswith(f"{folder / 'broken.JPG'}: A photo must be in one of")


def test_ctrl_c_ends_the_work_and_keeps_what_is_done(folder, called, detector):
    first = detector.detect

    def detect_once(images, **limits):
        if detector.calls:
            raise KeyboardInterrupt
        return first(images, **limits)

    detector.detect = detect_once
    code, results, pictures = called(folder)
    assert (code, len(results), pictures) == (130, 1, ["a.png"])


def test_sigterm_ends_the_work_as_ctrl_c_does(folder, called, detector, tmp_path):
    first = detector.detect

    def detect_once(images, **limits):
        if detector.calls:
            os.kill(os.getpid(), signal.SIGTERM)
        return first(images, **limits)

    detector.detect = detect_once
    before = signal.getsignal(signal.SIGTERM)
    code, results, pictures = called(folder)
    assert signal.getsignal(signal.SIGTERM) is before
    assert (code, len(results), pictures) == (130, 1, ["a.png"])
    assert not list(tmp_path.glob(".*partial*"))


def test_damaged_metadata_says_nothing(folder, called):
    path = folder / "a.png"
    Image.open(path).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read_photo(path)
        assert [str(warning.message)[:12] for warning in said] == ["Corrupt EXIF"]
        assert called(path)[0] == 0
    assert len(said) == 1


def test_a_photo_of_too_many_pixels_is_reported_in_one_line(
    folder, called, monkeypatch, capsys
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1999)  # a.png has 40 x 50
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        code, _, pictures = called(folder / "a.png", folder / "b.jpg")  # 30 x 20
    assert [str(warning.message) for warning in said] == []
    assert (code, pictures) == (1, ["b.jpg"])
    [line] = capsys.readouterr().err.splitlines()
    assert "a.png: A photo must have at most 1999 pixels; received" in line


def test_a_terminal_gets_a_progress_bar(folder, called, capsys, monkeypatch):
    monkeypatch.setattr(Console, "is_terminal", True)
    called(folder)
    out, err = capsys.readouterr()
    assert "Detecting" not in out
    assert "Detecting" in err
    assert "3/3" in err
    assert "broken.JPG: A photo must be" in err


def test_names_that_are_not_unicode_lose_no_results(folder, called, odd_name):
    odd = folder / odd_name
    Image.new("RGB", (40, 50)).save(odd)
    code, results, pictures = called(folder / "a.png", odd)
    assert code == 0
    assert [one["file_name"] for one in results] == [
        (folder / "a.png").as_posix(),
        odd.as_posix(),
    ]
    assert odd.name in pictures


def test_a_json_file_that_cannot_be_written_is_an_error(
    folder, monkeypatch, detector, tmp_path, capsys
):
    monkeypatch.setattr(detect, "load_detector", lambda *_: (detector, None))
    (tmp_path / "file").write_text("")
    argv = ["detect", folder / "a.png", "--output", tmp_path / "out"]
    argv += ["--json", tmp_path / "file" / "r.json"]
    assert cli.main([str(argument) for argument in argv]) == 1
    assert "The results could not be written: " in capsys.readouterr().err


def test_views_are_asked_for_by_options(called, tmp_path, detector, monkeypatch):
    asked = []
    plain = detector.detect

    def detect_views(photos, scales=None, flip=False, merge="nms", **limits):
        asked.append((scales, flip, merge))
        return plain(photos, **limits)

    monkeypatch.setattr(detector, "detect", detect_views)
    Image.new("RGB", (40, 50)).save(tmp_path / "a.png")
    for options in ([], ["--scales", "0.5,2"], ["--flip", "--merge", "soft_nms"]):
        assert called(tmp_path / "a.png", *options)[0] == 0
    expected = [(None, False, "nms"), ((0.5, 2.0), False, "nms")]
    assert asked == [*expected, (None, True, "soft_nms")]


def test_merge_takes_what_detect_takes():
    assert MERGES == tuple(image_pyramid.MERGES)


def test_scales_must_be_above_zero(called, tmp_path, capsys):
    with pytest.raises(SystemExit):
        called(tmp_path, "--scales", "1,0")
    assert "must be above 0; received 1,0" in capsys.readouterr().err


def test_a_model_without_objects_gets_no_limits(folder, called, detector, capsys):
    detector.targets = ("semantic_map",)

    def label(images, **limits):
        assert limits.keys() == {"min_size", "max_size"}
        return [{"semantic_map": np.ones(images[0].shape[:2], np.uint8)}]

    detector.detect = label
    code, results, pictures = called(folder / "a.png")
    assert (code, results, pictures) == (0, [], ["a.png"])
    assert "1 photo, 0 boxes" in capsys.readouterr().out


@pytest.fixture
def panoptic(detector):
    """The fake detector, which also finds two segments in every photo."""

    def detect(images, **limits):
        numbers = np.ones(images[0].shape[:2], np.int32)
        numbers[:, 5:] = 2
        segments = [
            {"id": 1, "label": 1, "isthing": True, "score": 0.9},
            {"id": 2, "label": 0, "isthing": False, "score": None},
        ]
        none = {"boxes": np.zeros((0, 4)), "labels": [], "scores": []}
        return [{**none, "panoptic_map": numbers, "segments": segments}]

    detector.stuff_set = StuffSet(("sky",), (40,))
    detector.stuff_names, detector.stuff_ids = ("sky",), (40,)
    detector.detect = detect
    return detector


def test_segments_are_written_as_coco_panoptic(folder, called, panoptic, tmp_path):
    file = tmp_path / "new" / "segments.json"
    code, _, pictures = called(folder / "a.png", folder / "b.jpg", "--panoptic", file)
    assert (code, pictures) == (0, ["a.png", "b.jpg"])
    dataset = read_coco_panoptic(file)
    assert (dataset.category_ids, dataset.stuff_ids) == ((17, 18), (40,))
    for photo, size in zip(dataset.photos, ((50, 40), (20, 30)), strict=True):
        numbers, segments = photo.pixel_labels.panoptic_map(size)
        assert np.unique(numbers[:, 5:]).tolist() == [2]
        assert [(s["label"], s["isthing"]) for s in segments] == [(1, True), (0, False)]


def test_the_segments_need_a_file_beside_which_a_folder_can_be(
    folder, called, panoptic, tmp_path, capsys
):
    out = tmp_path / "out"
    argv = ["detect", folder / "a.png", "--output", out, "--panoptic", tmp_path / "a"]
    assert cli.main([str(one) for one in argv]) == 2
    assert "must be written to a .json file" in capsys.readouterr().err


def test_only_a_panoptic_detector_has_segments(folder, called, tmp_path, capsys):
    for name, message in (
        ("a.json", "must be given for a panoptic detector; received a FakeDetector"),
        ("", "--panoptic must be a file; received the folder"),
    ):
        argv = ["detect", folder / "a.png", "--output", tmp_path / "out"]
        argv += ["--panoptic", tmp_path / name]
        assert cli.main([str(one) for one in argv]) == 2
        assert message in capsys.readouterr().err
