import numpy as np
import pytest
from data.tiny_layouts import cvat, cvat_image, cvat_project
from data.tiny_sets import boxes, read, write, write_photo

from keras_fpn.data import read_cvat
from keras_fpn.data.cvat import cvat_subsets, is_cvat
from keras_fpn.data.masks import segment_mask

BOX = '<box label="cat" xtl="10" ytl="20" xbr="40" ybr="60"{}/>'
POLYGON = '<polygon label="dog" points="10.5,20;40,20;40,60"/>'


def write_set(folder, *shapes, names=("cat", "dog")):
    write_photo(folder / "images/a.jpg")
    image = cvat_image("a", "".join(shapes))
    return write(folder / "annotations.xml", cvat([image], names))


def test_a_file_is_read(tmp_path):
    path = write_set(tmp_path, POLYGON, BOX.format(""), names=("dog", "cat", "yak"))
    dataset, report = read(read_cvat, path)
    assert boxes(dataset) == [[10.5, 20, 40, 60], [10, 20, 40, 60]]
    # The order of the task, not of the alphabet.
    assert dataset.class_names == ("dog", "cat", "yak")
    assert dataset.category_ids == (1, 2, 3)
    np.testing.assert_array_equal(dataset[0].objects.labels, [0, 1])
    assert dataset[0].objects.segments == ([[10.5, 20, 40, 20, 40, 60]], None)
    assert dataset[0].path == tmp_path / "images/a.jpg"
    assert report.counts == {}
    assert dataset.name == tmp_path.name


def test_turned_shapes_become_the_boxes_around_them(tmp_path):
    shapes = [
        BOX.format(' rotation="90"'),  # 30 x 40 around 25, 40
        BOX.format(' rotation="30"'),
        '<ellipse label="dog" cx="50" cy="40" rx="20" ry="10"/>',
        '<ellipse label="dog" cx="50" cy="40" rx="20" ry="10" rotation="90"/>',
    ]
    dataset, _ = read(read_cvat, write_set(tmp_path, *shapes))
    half = 15 * 0.75**0.5 + 20 * 0.5, 15 * 0.5 + 20 * 0.75**0.5
    expected = [
        [5, 25, 45, 55],
        [25 - half[0], 40 - half[1], 25 + half[0], 40 + half[1]],
        [30, 30, 70, 50],
        [40, 20, 60, 60],
    ]
    np.testing.assert_allclose(boxes(dataset), expected, atol=1e-4)


def test_an_ellipse_is_turned_clockwise(tmp_path):
    ellipse = '<ellipse label="cat" cx="50" cy="40" rx="20" ry="5" rotation="45"/>'
    [segment] = read(read_cvat, write_set(tmp_path, ellipse))[0][0].objects.segments
    mask = segment_mask(segment, (80, 100))
    assert mask[50, 60]  # right and down
    assert not mask[30, 60]
    assert mask.sum() == pytest.approx(np.pi * 20 * 5, rel=0.05)


def test_a_mask_has_run_lengths_along_the_rows_of_its_window(tmp_path):
    # 0 0 1 / 0 1 1 at x 10, y 20, in a window of 3 x 3 whose last row is empty.
    mask = '<mask label="cat" rle="2,1,1,2,3" left="10" top="20" width="3" height="3"/>'
    dataset, report = read(read_cvat, write_set(tmp_path, mask))
    assert boxes(dataset) == [[11, 20, 13, 22]]
    found = np.argwhere(segment_mask(dataset[0].objects.segments[0], (80, 100)))
    assert found.tolist() == [[20, 12], [21, 11], [21, 12]]
    assert report.counts == {}


@pytest.mark.parametrize(
    "shape",
    [
        '<polyline label="cat" points="1,2;3,4"/>',
        '<points label="cat" points="1,2"/>',
        '<cuboid label="cat" xtl1="1"/>',
        '<box label="cat" xtl="1" ytl="2" xbr="3"/>',
        '<box label="cat" xtl="1" ytl="2" xbr="3" ybr="x"/>',
        '<polygon label="cat"/>',
        '<polygon label="cat" points="1,2;3"/>',
        '<polygon label="cat" points="1,2,3;4,5,6;7,8,9"/>',
        '<mask label="cat" rle="2,1,1,2" left="10" top="20" width="3" height="3"/>',
        '<mask label="cat" rle="-1,10" left="10" top="20" width="3" height="3"/>',
        '<mask label="cat" rle="9" left="10" top="20" width="3" height="3"/>',
        '<mask label="cat" rle="0,9" left="98" top="20" width="3" height="3"/>',
        '<mask label="cat" rle="0,9" left="1" top="2" width="-3" height="-3"/>',
        '<mask label="cat" rle="" left="10" top="20" width="3" height="3"/>',
        f'<mask label="cat" rle="{9**400}" left="0" top="0" width="3" height="3"/>',
        '<mask label="cat" rle="0,9" left="0" top="0" width="3"/>',
    ],
)
def test_what_has_no_area_is_counted_and_left_out(tmp_path, shape):
    path = write_set(tmp_path, BOX.format(""), shape, '<tag label="cat"/>')
    dataset, report = read(read_cvat, path)
    assert boxes(dataset) == [[10, 20, 40, 60]]
    assert report.defects == {"unreadable_object": 1}
    assert " 2 (cat) of a.jpg: " in report.examples["unreadable_object"][0]


def test_subsets_are_splits(tmp_path):
    path = cvat_project(tmp_path) / "annotations.xml"
    assert cvat_subsets(path) == ["Train", "Validation", "Test"]
    dataset, _ = read(read_cvat, path, split="Validation")
    assert [photo.path.stem for photo in dataset.photos] == ["d", "e"]
    assert dataset.name == f"{tmp_path.name}/Validation"
    assert len(read(read_cvat, path)[0]) == 6
    with pytest.raises(ValueError, match=r"split='dev'.*\['Test', 'Train', 'Valid"):
        read_cvat(path, split="dev")


@pytest.mark.parametrize("place", ["images", "", "images/Train", "Train"])
def test_photos_are_found_in_the_usual_folders(tmp_path, place):
    write_photo(tmp_path / place / "a.jpg")
    image = cvat_image("a", subset="Train")
    path = write(tmp_path / "annotations.xml", cvat([image]))
    assert read(read_cvat, path)[0][0].path == tmp_path / place / "a.jpg"
    other = write_photo(tmp_path / "else/a.jpg")
    assert read(read_cvat, path, images=tmp_path / "else")[0][0].path == other


def test_classes_can_be_chosen_and_ordered(tmp_path):
    path = write_set(tmp_path, POLYGON, BOX.format(""))
    dataset, report = read(read_cvat, path, class_names=["cat"])
    assert dataset.class_names == ("cat",)
    np.testing.assert_array_equal(dataset[0].objects.labels, [0])
    assert report.counts == {"unselected": 1}


def test_without_a_task_classes_are_those_of_the_shapes(tmp_path):
    path = write_set(tmp_path, POLYGON, BOX.format(""), names=())
    assert read(read_cvat, path)[0].class_names == ("cat", "dog")
    path = write_set(tmp_path, '<tag label="day"/>', names=())
    with pytest.raises(ValueError, match=r"of its classes; received path='.*\.xml'"):
        read_cvat(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><image", "readable xml; .*ParseError"),
        ("<annotations><version>1.1</version></annotations>", "must have images"),
        ("<annotations><track/></annotations>", "Export it as 'CVAT for images 1.1'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_cvat(write(tmp_path / "annotations.xml", text))


def test_it_is_told_from_a_file_of_voc(tmp_path):
    assert is_cvat(write_set(tmp_path))
    assert not is_cvat(write(tmp_path / "a.xml", "<annotation><object/></annotation>"))
