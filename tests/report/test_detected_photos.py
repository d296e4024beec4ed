from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from keras_fpn.data.segments import mask_segment
from keras_fpn.report import detect_photos
from keras_fpn.visualize import class_color, draw_panoptic, draw_semantic


def test_each_photo_is_detected_alone_with_the_given_limits(detector, folder, tmp_path):
    photos = [folder / "a.png", str(folder / "b.jpg")]
    detected = list(detect_photos(detector, photos, tmp_path / "out", min_size=64))
    assert [(len(images), limits) for images, limits in detector.calls] == [
        (1, {"min_size": 64})
    ] * 2
    assert detector.calls[0][0][0].shape == (50, 40, 3)
    assert [one.photo for one in detected] == [Path(photo) for photo in photos]
    assert [one.found["boxes"].tolist() for one in detected] == [
        [[0, 0, 39, 50]],
        [[0, 0, 29, 20]],
    ]
    assert [one.picture for one in detected] == [
        tmp_path / "out" / name for name in ("a.png", "b.jpg")
    ]
    for one, form, size in zip(
        detected, ("PNG", "JPEG"), ((360, 450), (510, 340)), strict=True
    ):  # enlarged 9 and 17 times
        with Image.open(one.picture) as picture:
            assert (picture.format, picture.size) == (form, size)
        assert one.error is None
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_the_title_stands_above_each_picture(detector, folder, tmp_path):
    heights = []
    for title in (None, "random weights"):
        [one] = detect_photos(detector, [folder / "a.png"], tmp_path, title)
        with Image.open(one.picture) as picture:
            heights.append(picture.height)
    assert heights[0] == 450 < heights[1]


def test_a_photo_that_fails_is_yielded_with_its_error(detector, folder, tmp_path):
    Image.new("RGB", (13, 9)).save(folder / "aa.png")  # the fake raises for it
    photos = [folder / name for name in ("aa.png", "broken.JPG", "gone.jpg", "b.jpg")]
    detected = list(detect_photos(detector, photos, tmp_path / "out"))
    assert [one.photo for one in detected] == photos
    for one, message in zip(
        detected,
        ("Both sides must be", "A photo must be in one of", "A photo's path"),
        strict=False,
    ):
        assert one.found is one.picture is None
        assert str(one.error).startswith(message)
    assert detected[-1].picture == tmp_path / "out" / "b.jpg"


def test_a_photo_is_only_read_when_its_turn_comes(detector, folder, tmp_path):
    detected = detect_photos(detector, [folder / "a.png", folder / "b.jpg"], tmp_path)
    assert detector.calls == []
    next(detected)
    assert len(detector.calls) == 1


def test_an_interruption_is_not_taken_for_a_failed_photo(detector, folder, tmp_path):
    def interrupt(images, **limits):
        raise KeyboardInterrupt

    detector.detect = interrupt
    with pytest.raises(KeyboardInterrupt):
        next(detect_photos(detector, [folder / "a.png"], tmp_path))


def test_masks_are_drawn_beneath_the_boxes(detector, tmp_path):
    Image.new("RGB", (400, 300), (128, 128, 128)).save(tmp_path / "grey.png")
    mask = np.zeros((300, 400), bool)
    mask[100:200, 100:200] = True
    plain = detector.detect

    def detect(images, **limits):
        [found] = plain(images, **limits)
        return [{**found, "masks": [mask_segment(mask)]}]

    detector.detect = detect
    [one] = detect_photos(detector, [tmp_path / "grey.png"], tmp_path / "out")
    with Image.open(one.picture) as picture:
        pixels = np.asarray(picture.resize((400, 300)))
    assert pixels[250, 250].tolist() == [128] * 3
    tint = np.rint(0.6 * 128 + 0.4 * np.array(class_color(1)))
    assert_allclose(pixels[150, 150], tint, atol=2)


@pytest.mark.parametrize(
    ("class_names", "shown"), [(("cell",), (0, 1)), (("cell", "dirt"), (0, 0))]
)
def test_objects_of_the_only_class_have_own_colors(
    detector, tmp_path, class_names, shown
):
    Image.new("RGB", (400, 400), (128, 128, 128)).save(tmp_path / "grey.png")
    boxes = np.array([[50, 200, 150, 300], [250, 200, 350, 300]], np.float32)
    masks = np.zeros((2, 400, 400), bool)
    points = np.zeros((2, 1, 3), np.float32)
    for i, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
        masks[i, y1:y2, x1:x2] = True
        points[i, 0] = x1 + 50.5, y1 + 50.5, 1
    found = {"boxes": boxes, "labels": np.zeros(2, int), "scores": np.array([0.9, 0.8])}
    found |= {"masks": [mask_segment(mask) for mask in masks], "keypoints": points}
    detector.class_names, detector.keypoint_threshold = class_names, 0
    detector.keypoint_set = SimpleNamespace(skeleton=())
    detector.detect = lambda images, **limits: [found]
    [one] = detect_photos(detector, [tmp_path / "grey.png"], tmp_path / "out")
    with Image.open(one.picture) as picture:
        pixels = np.asarray(picture)
    for x1, number in zip((50, 250), shown, strict=True):
        color = class_color(number)
        tint = np.rint(0.6 * 128 + 0.4 * np.array(color))
        assert pixels[250, x1 - 3].tolist() == list(color)  # the box's line
        assert_allclose(pixels[225, x1 + 25], tint, atol=1)
        assert pixels[250, x1 + 50].tolist() == list(color)  # the keypoint


def test_maps_are_drawn_instead_of_boxes(detector, folder, tmp_path):
    numbers = np.zeros((50, 40), np.int32)
    numbers[:20], numbers[20:] = 1, 2
    segments = [
        {"id": 1, "label": 1, "isthing": True, "score": 0.9},
        {"id": 2, "label": 0, "isthing": False, "score": None},
    ]
    detect, detector.stuff_names = detector.detect, ["sky"]
    maps = {"panoptic_map": numbers, "segments": segments}

    def detect_with_maps(images, **limits):
        semantic = (numbers - 1).astype(np.uint8)
        return [{**one, **maps, "semantic_map": semantic} for one in detect(images)]

    detector.detect = detect_with_maps
    [one] = detect_photos(detector, [folder / "a.png"], tmp_path, "title")
    expected = draw_panoptic(
        folder / "a.png", numbers, segments, ("cat", "dog"), ["sky"], "title"
    )
    with Image.open(one.picture) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))
    maps.clear()
    [one] = detect_photos(detector, [folder / "a.png"], tmp_path)
    expected = draw_semantic(folder / "a.png", numbers - 1, ("cat", "dog"))
    with Image.open(one.picture) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))
