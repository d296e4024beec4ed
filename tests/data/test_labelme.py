import base64
import io
import json

import numpy as np
import pytest
from data.tiny_layouts import POINTS, labelme, shape
from data.tiny_sets import boxes, read, write, write_photo
from PIL import Image

from keras_fpn.data import read_labelme
from keras_fpn.data.masks import segment_mask

SQUARE = [10, 20, 40, 20, 40, 60, 10, 60]


def write_set(folder, shapes, stem="a", **changes):
    write_photo(folder / f"{stem}.jpg")
    contents = json.loads(labelme(stem, shapes)) | changes
    return write(folder / f"{stem}.json", json.dumps(contents))


def encoded(mask):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_folder_is_read(tmp_path):
    write_set(tmp_path, [shape("dog", POINTS), shape("cat", POINTS[::2], "rectangle")])
    write_set(tmp_path, [], "b")
    dataset, report = read(read_labelme, tmp_path)
    assert boxes(dataset) == [[10, 20, 40, 60]] * 2
    assert (dataset.class_names, dataset.category_ids) == (("cat", "dog"), (1, 2))
    np.testing.assert_array_equal(dataset[0].objects.labels, [1, 0])
    assert dataset[0].objects.segments == ([SQUARE], None)
    assert (dataset[0].height, dataset[0].width) == (80, 100)
    assert [photo.path.name for photo in dataset.photos] == ["a.jpg", "b.jpg"]
    assert len(dataset[1].objects) == 0
    assert report.counts == {}
    assert dataset.name == tmp_path.name
    assert len(read(read_labelme, tmp_path / "a.json")[0]) == 1


@pytest.mark.parametrize(
    ("points", "kind", "box"),
    [
        (POINTS[:3], "polygon", [10, 20, 40, 60]),
        (POINTS[:3], None, [10, 20, 40, 60]),  # of early versions
        ([[40, 60], [10, 20]], "rectangle", [10, 20, 40, 60]),  # drawn from below
        (POINTS, "rectangle", [10, 20, 40, 60]),  # of late versions
        ([[50, 40], [50, 50]], "circle", [40, 30, 60, 50]),
    ],
)
def test_shapes_become_boxes(tmp_path, points, kind, box):
    path = write_set(tmp_path, [shape("cat", points, kind)])
    dataset, report = read(read_labelme, path)
    np.testing.assert_allclose(boxes(dataset), [box], atol=1e-5)
    assert report.counts == {}


def test_a_circle_is_a_round_mask(tmp_path):
    path = write_set(tmp_path, [shape("cat", [[50, 40], [50, 60]], "circle")])
    [segment] = read(read_labelme, path)[0][0].objects.segments
    mask = segment_mask(segment, (80, 100))
    assert mask.sum() == pytest.approx(np.pi * 20**2, rel=0.02)
    assert not mask[22, 32]  # a corner of its box


def test_a_mask_is_an_image_at_a_corner(tmp_path):
    crop = np.zeros((4, 6), np.uint8)
    crop[1:, 2:] = 255
    one = shape("cat", [[10, 20], [15, 23]], "mask", mask=encoded(crop))
    dataset, report = read(read_labelme, write_set(tmp_path, [one]))
    assert boxes(dataset) == [[10, 20, 16, 24]]  # its corners are pixels
    mask = segment_mask(dataset[0].objects.segments[0], (80, 100))
    expected = np.zeros((80, 100), bool)
    expected[21:24, 12:16] = True
    np.testing.assert_array_equal(mask, expected)
    assert report.counts == {}


def test_shapes_of_a_group_are_one_object(tmp_path):
    left, right = [[1, 2], [5, 2], [5, 9]], [[20, 3], [30, 3], [30, 8]]
    shapes = [
        shape("cat", left, group_id=4),
        shape("dog", POINTS, group_id=4),  # another class, another object
        shape("cat", right, group_id=4),
        shape("cat", left),
        shape("cat", left),  # two without a group are two
    ]
    dataset, _ = read(read_labelme, write_set(tmp_path, shapes))
    expected = [[1, 2, 30, 9], [10, 20, 40, 60], [1, 2, 5, 9], [1, 2, 5, 9]]
    assert boxes(dataset) == expected
    both = [np.ravel(left).tolist(), np.ravel(right).tolist()]
    assert dataset[0].objects.segments[0] == both


@pytest.mark.parametrize(
    "one",
    [
        shape("cat", [[1, 2], [3, 4]], "line"),
        shape("cat", [[1, 2]], "point"),
        shape("cat", POINTS[:2]),
        shape("cat", [[1, 2], [3, "x"], [5, 6]]),
        shape("cat", [[1, 2], [3], [5, 6]]),
        shape("cat", "words"),
        shape("cat", [[1, 2], [3, float("nan")], [5, 6]]),
        shape("cat", [[10, 20], [15, 23]], "mask"),
        shape("cat", [[10, 20], [15, 23]], "mask", mask="!"),
        shape("cat", [[98, 20], [99, 23]], "mask", mask=encoded(np.eye(4) > 0)),
        shape("cat", [[0, 0], [1, 1]], "mask", mask=encoded(np.ones((200, 200)) > 0)),
    ],
)
def test_what_has_no_area_is_counted_and_left_out(tmp_path, one):
    path = write_set(tmp_path, [shape("cat", POINTS), one])
    dataset, report = read(read_labelme, path)
    assert boxes(dataset) == [[10, 20, 40, 60]]
    assert report.defects == {"unreadable_object": 1}
    assert "shape 2 (cat) of a.json: " in report.examples["unreadable_object"][0]


def test_classes_can_be_chosen_and_ordered(tmp_path):
    write_set(tmp_path, [shape("dog", POINTS), shape("cat", POINTS)])
    dataset, report = read(read_labelme, tmp_path, class_names=["yak", "dog"])
    assert dataset.class_names == ("yak", "dog")
    np.testing.assert_array_equal(dataset[0].objects.labels, [1])
    assert report.counts == {"unselected": 1}


@pytest.mark.parametrize(
    ("stated", "place"),
    [
        ("a.jpg", "a.jpg"),
        ("../photos/a.jpg", "photos/a.jpg"),
        ("..\\photos\\a.jpg", "photos/a.jpg"),
        ("C:\\photos\\a.jpg", "set/a.jpg"),
        ("/elsewhere/a.jpg", "images/a.jpg"),
        ("renamed.png", "set/one.webp"),  # by the name of the json
        (None, "set/one.png"),
    ],
)
def test_photos_are_found_where_they_are_said_to_be_or_beside(tmp_path, stated, place):
    place = tmp_path / place if "/" in place else tmp_path / "set" / place
    write_photo(place)
    contents = json.loads(labelme("a")) | {"imagePath": stated}
    path = write(tmp_path / "set/one.json", json.dumps(contents))
    assert read(read_labelme, path)[0][0].path.samefile(place)
    other = write_photo(tmp_path / "else" / place.name)
    dataset, _ = read(read_labelme, path, images=tmp_path / "else")
    assert dataset[0].path.samefile(other)


def test_a_photo_of_another_size_is_left_out_and_an_unknown_size_read(tmp_path):
    write_set(tmp_path, [shape("cat", POINTS)], imageHeight=None)
    write_set(tmp_path, [shape("cat", POINTS)], "b", imageHeight=81)
    dataset, report = read(read_labelme, tmp_path)
    assert (dataset[0].height, len(dataset)) == (80, 1)
    assert report.defects == {"other_size": 1}


@pytest.mark.parametrize(
    "text", ['{"shapes": [', '{"shapes": 1}', '{"shapes": [1]}', "[]", "[" * 99_999]
)
def test_a_broken_file_is_told_and_the_others_read(tmp_path, text):
    write_set(tmp_path, [shape("cat", POINTS)])
    # What looks like labelme's at its end is one of them.
    write(tmp_path / "b.json", f'{{"imagePath": "b.jpg", {text[1:]}')
    with pytest.raises(ValueError, match=r"1 annotation file: cannot be read.*c\.json"):
        read_labelme(write(tmp_path / "c.json", text), report=None, class_names=["a"])
    dataset, report = read(read_labelme, tmp_path)
    assert len(dataset) == 1
    assert report.defects in ({"unreadable_file": 1}, {})


def test_files_without_shapes_need_names(tmp_path):
    write_set(tmp_path, [])
    with pytest.raises(ValueError, match=r"names of the classes; .*with 1 files"):
        read_labelme(tmp_path)
    assert len(read(read_labelme, tmp_path, class_names=["cat"])[0]) == 1
