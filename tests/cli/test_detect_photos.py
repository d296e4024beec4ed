import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from rich.console import Console

from keras_fpn.cli.detect_photos import coco_results, detect_photos, write_json
from keras_fpn.cli.errors import CommandError
from keras_fpn.cli.photo_files import find_photos
from keras_fpn.preprocessing import read_photo


def test_each_photo_is_detected_alone_with_the_given_limits(detector, folder, tmp_path):
    photos = [folder / "a.png", folder / "b.jpg"]
    outcome = detect_photos(detector, photos, tmp_path / "out", min_size=64)
    assert [(len(images), limits) for images, limits in detector.calls] == [
        (1, {"min_size": 64})
    ] * 2
    assert detector.calls[0][0][0].shape == (50, 40, 3)
    assert outcome.pictures == [tmp_path / "out" / name for name in ("a.png", "b.jpg")]
    assert (outcome.failed, outcome.interrupted) == (0, False)
    assert outcome.seconds > 0
    for path, form, size in zip(
        outcome.pictures, ("PNG", "JPEG"), ((360, 450), (510, 340)), strict=True
    ):  # enlarged 9 and 17 times
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == (form, size)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_the_title_stands_above_each_picture(detector, folder, tmp_path):
    heights = []
    for title in (None, "random weights"):
        photos = [folder / "a.png"]
        outcome = detect_photos(detector, photos, tmp_path, title=title)
        with Image.open(outcome.pictures[0]) as picture:
            heights.append(picture.height)
    assert heights[0] == 450 < heights[1]


def test_results_are_cocos_in_the_photos_own_pixels(detector):
    found = {
        "boxes": np.array([[10.1, 20, 30.5, 60]], np.float32),
        "labels": np.array([1]),
        "scores": np.array([0.1], np.float32),
    }
    assert coco_results(found, detector, 139, Path("some/139.jpg")) == [
        {
            "image_id": 139,
            "file_name": "some/139.jpg",
            "category_id": 18,
            "category_name": "dog",
            "bbox": [10.1, 20.0, 20.4, 40.0],  # x, y, width, height
            "score": 0.1,
        }
    ]


def test_a_failed_photo_is_reported_in_a_line_and_the_others_go_on(
    detector, folder, tmp_path, capsys
):
    Image.new("RGB", (13, 9)).save(folder / "aa.png")  # the fake refuses it
    photos = find_photos([folder])
    outcome = detect_photos(detector, photos, tmp_path / "out")
    assert outcome.failed == 2
    assert [path.name for path in outcome.pictures] == ["a.png", "b.jpg"]
    # Numbers stay the photos' own: 1 a.png, 2 aa.png, 3 b.jpg, 4 broken.JPG.
    assert [result["image_id"] for result in outcome.results] == [1, 3]
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith(f"{folder / 'aa.png'}: Both sides")
    assert first.endswith("received size=13.")
    assert second.startswith(f"{folder / 'broken.JPG'}: A photo must be in one of")


def test_ctrl_c_ends_the_work_and_keeps_what_is_done(detector, folder, tmp_path):
    first = detector.detect

    def detect_once(images, **limits):
        if detector.calls:
            raise KeyboardInterrupt
        return first(images, **limits)

    detector.detect = detect_once
    outcome = detect_photos(detector, find_photos([folder]), tmp_path / "out")
    assert outcome.interrupted
    assert [path.name for path in outcome.pictures] == ["a.png"]


def test_damaged_metadata_says_nothing(detector, folder, tmp_path):
    path = folder / "a.png"
    Image.open(path).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read_photo(path)
        assert [str(warning.message)[:12] for warning in said] == ["Corrupt EXIF"]
        outcome = detect_photos(detector, [path], tmp_path / "out")
    assert len(outcome.pictures) == 1
    assert len(said) == 1


def test_a_photo_of_too_many_pixels_is_reported_in_one_line(
    detector, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1999)  # a.png has 40 x 50
    photos = [folder / "a.png", folder / "b.jpg"]  # the other one 30 x 20
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        outcome = detect_photos(detector, photos, tmp_path)
    assert [str(warning.message) for warning in said] == []
    assert (outcome.failed, len(outcome.pictures)) == (1, 1)
    [line] = capsys.readouterr().err.splitlines()
    assert "a.png: A photo must have at most 1999 pixels; received" in line


def test_a_picture_too_long_for_jpeg_is_a_png(detector, tmp_path):
    photo = tmp_path / "long.bmp"
    Image.new("RGB", (65501, 2)).save(photo)
    outcome = detect_photos(detector, [photo], tmp_path / "out")
    assert outcome.pictures == [tmp_path / "out" / "long.png"]
    assert outcome.pictures[0].is_file()


def test_a_terminal_gets_a_progress_bar(
    detector, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(Console, "is_terminal", True)
    detect_photos(detector, find_photos([folder]), tmp_path / "out")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Detecting" in err
    assert "3/3" in err
    assert "broken.JPG: A photo must be" in err


def test_the_json_file_is_what_coco_loads(tmp_path):
    result = {"image_id": 3, "category_id": 17, "bbox": [1, 2, 3, 4], "score": 0.5}
    write_json([result, result | {"file_name": "é.jpg"}], tmp_path / "new" / "r.json")
    text = (tmp_path / "new" / "r.json").read_text("utf-8")
    assert len(text.splitlines()) == 4  # one result to a line
    assert "é" in text
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 3}],
        "categories": [{"id": 17}],
        "annotations": [],
    }
    coco.createIndex()
    loaded = coco.loadRes(str(tmp_path / "new" / "r.json"))
    assert [a["area"] for a in loaded.loadAnns(loaded.getAnnIds())] == [12, 12]


def test_names_that_are_no_unicode_lose_no_results(
    detector, folder, tmp_path, odd_name
):
    odd = folder / odd_name
    Image.new("RGB", (40, 50)).save(odd)
    outcome = detect_photos(detector, [folder / "a.png", odd], tmp_path / "out")
    assert outcome.failed == 0
    write_json(outcome.results, tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert [one["file_name"] for one in found] == [
        (folder / "a.png").as_posix(),
        odd.as_posix(),
    ]
    assert (tmp_path / "out" / odd.name).is_file()


def test_no_results_are_an_empty_list(tmp_path):
    write_json([], tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == []


def test_a_json_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"could not be written: .*file") as error:
        write_json([], tmp_path / "file" / "r.json")
    assert error.value.code == 1
