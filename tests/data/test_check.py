import numpy as np
import pytest
from data.tiny_sets import read, write, write_photo, write_yolo_set
from PIL import Image

from keras_fpn.data import (
    Dataset,
    Objects,
    Photo,
    Report,
    check_dataset,
    read_csv,
    read_yolo,
)
from keras_fpn.preprocessing import read_photo


def photo(path, boxes=((10, 20, 30, 40),), image_id=1, size=(80, 100), **changes):
    count = len(boxes)
    fields = {"labels": [0] * count, "is_crowd": [False] * count} | changes
    return Photo(image_id, path, *size, Objects(boxes, **fields))


def one_photo(tmp_path, size=(80, 100), name="a.jpg", **written):
    path = write_photo(tmp_path / name, **written)
    return Dataset([photo(path, size=size)], ["cat"], [1], name="one")


def test_a_sound_data_set_is_returned_as_it_was(tmp_path):
    points = np.array([[[11, 22, 2]]], np.float32)
    polygon = [[10.0, 20.0, 30.0, 20.0, 30.0, 40.0]]
    path = write_photo(tmp_path / "a.jpg")
    dataset = Dataset(
        [photo(path, segments=[polygon], keypoints=points), photo(path, [])],
        ["cat"],
        [1],
        ["nose"],
        name="made",
    )
    again, report = read(check_dataset, dataset)
    assert again[0].objects.segments == (polygon,)
    np.testing.assert_array_equal(again[0].objects.keypoints, points)
    np.testing.assert_array_equal(again[0].objects.boxes, [[10, 20, 30, 40]])
    assert (again.name, again.keypoint_names) == ("made", ("nose",))
    assert report.defects == {}


def test_labels_without_a_class_are_left_out(tmp_path):
    path = write_photo(tmp_path / "a.jpg")
    boxes = [[0, 0, 9, 9], [1, 1, 9, 9], [2, 2, 9, 9]]
    dataset = Dataset([photo(path, boxes, labels=[0, 1, -1])], ["cat"], [1])
    again, report = read(check_dataset, dataset)
    np.testing.assert_array_equal(again[0].objects.boxes, boxes[:1])
    assert report.defects == {"unknown_category": 2}
    assert "label -1" in report.examples["unknown_category"][1]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "mpo"])
def test_the_size_is_that_of_the_upright_photo(tmp_path, suffix):
    # Stored 100 wide and 80 high; 6 turns it by a quarter.
    path = write_photo(tmp_path / f"a.{suffix}", 100, 80, orientation=6)
    csv = write(tmp_path / "a.csv", f"a.{suffix},60,20,70,95,cat\n")
    dataset, report = read(read_csv, csv)
    assert (dataset[0].height, dataset[0].width) == (100, 80)
    assert read_photo(path).shape == (100, 80, 3)
    np.testing.assert_array_equal(dataset[0].objects.boxes, [[60, 20, 70, 95]])
    assert report.counts == {"exif_rotation": 1}
    assert report.defects == {}


def test_fractions_are_of_the_upright_photo(tmp_path):
    path = write_yolo_set(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n"})
    write_photo(tmp_path / "images/train/a.jpg", 100, 80, orientation=8)
    dataset, _ = read(read_yolo, path)
    # 80 wide, 100 high: half of either.
    np.testing.assert_array_equal(dataset[0].objects.boxes, [[20, 25, 60, 75]])


def test_annotations_of_the_unrotated_photo_are_left_out(tmp_path):
    dataset = one_photo(tmp_path, size=(80, 100), orientation=6)
    with pytest.raises(
        ValueError,
        match=r"1 photo: annotated without its EXIF rotation; left out \(.*a\.jpg: "
        r"width and height 100x80 in the annotations, 80x100 in the file\)",
    ):
        check_dataset(dataset, report=None)


@pytest.mark.parametrize("size", [(40, 50), (100, 80)])
def test_annotations_of_another_size_are_left_out(tmp_path, size):
    dataset = one_photo(tmp_path, size=size)
    with pytest.raises(
        ValueError, match=r"1 photo: the size differs .*, 100x80 in the f"
    ):
        check_dataset(dataset, report=None)


def test_files_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    paths = [
        write_photo(tmp_path / "a.jpg"),
        tmp_path / "gone.jpg",
        write(tmp_path / "text.jpg", "no image"),
        tmp_path,
        write_photo(tmp_path / "huge.png", 101, 100),
    ]
    photos = [photo(path, image_id=i) for i, path in enumerate(paths)]
    dataset, report = read(check_dataset, Dataset(photos, ["cat"], [1]))
    assert [p.image_id for p in dataset.photos] == [0]
    assert report.defects == {"missing_file": 1, "unreadable_photo": 3}
    assert report.examples["missing_file"] == [str(tmp_path / "gone.jpg")]
    assert "101x100 is above" in report.examples["unreadable_photo"][2]


def test_a_cut_photo_passes_by_its_header(tmp_path):
    # Its pixels are read when it is used: that is what the loader reports.
    dataset = one_photo(tmp_path)
    content = dataset[0].path.read_bytes()
    dataset[0].path.write_bytes(content[: len(content) - 100])
    assert len(read(check_dataset, dataset)[0]) == 1


def test_strict_makes_one_error_of_all_defects(tmp_path):
    good = write_photo(tmp_path / "a.jpg")
    boxes = [[10, 20, 30, 40], [50, 20, 120, 40], [5, 5, 5, 9], [7, 7, 7, 9]]
    dataset = Dataset(
        [photo(good, boxes), photo(tmp_path / "b.jpg")], ["cat"], [1], name="set"
    )
    reports = []
    with pytest.raises(
        ValueError,
        match=r"1 photo: the file is missing; left out \(.*b\.jpg\); "
        r"2 objects: a box without area; left out \(object 3 .*5, 5, 5, 9.*\); "
        r"1 object: a box partly outside the photo; clipped \(object 2",
    ):
        check_dataset(dataset, strict=True, report=reports.append)
    assert len(reports) == 1  # it is shown all the same


def test_notes_do_not_fail_a_strict_check(tmp_path):
    path = write_photo(tmp_path / "a.jpg", orientation=3)
    boxes = [[10, 20, 30, 40], [10, 20, 30, 40]]
    dataset = Dataset([photo(path, boxes)], ["cat"], [1])
    again, report = read(check_dataset, dataset, strict=True)
    assert report.counts == {"exif_rotation": 1, "same_box": 1}
    assert len(again[0].objects) == 2


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="at least one photo; received 0 photos made"):
        check_dataset(Dataset([], ["cat"], [1]))


def test_a_data_set_without_objects_is_kept(tmp_path):
    path = write_photo(tmp_path / "a.jpg")
    dataset, report = read(check_dataset, Dataset([photo(path, [])], ["cat"], [1]))
    assert len(dataset) == 1
    assert report.statistics.photos_without_objects == 1


def test_the_report_is_printed(tmp_path, capsys):
    boxes = [[10, 20, 30, 40], *([90, i, 90, i + 9] for i in range(5))]
    path = write_photo(tmp_path / "a.jpg", orientation=2)
    dataset = Dataset([photo(path, boxes)], ["cat"], [1], name="set")
    with pytest.warns(UserWarning, match="^The data set has defects. set: 1 photos"):
        check_dataset(dataset)
    assert capsys.readouterr().out == ""  # only where it is asked for
    check_dataset(dataset, report=print)
    assert capsys.readouterr().out.splitlines() == [
        "set: 1 photos made in code",
        "1 photo, 1 object of 1 class, 0 crowd regions; 0 photos without objects",
        "  class  objects   photos    small   medium    large",
        "  cat          1        1        1        0        0",
        "Defects:",
        "  5 objects: a box without area; left out",
        *(
            f"    object {i + 2} of {path}: 90, {i}, 90, {i + 9} in a photo of 100x80"
            for i in range(3)
        ),
        "    and 2 more",
        "Notes:",
        "  1 photo: EXIF rotation; annotations are taken as of the upright photo; kept",
        f"    {path}: orientation 2",
    ]


def test_a_report_without_defects_says_so(tmp_path):
    assert "No defects." in str(read(check_dataset, one_photo(tmp_path))[1])


def test_reports_count_known_kinds_only():
    with pytest.raises(ValueError, match=r"'missing_file', .*received kind='oops'"):
        Report("a", "b").add("oops", "c")


def test_a_long_name_loses_its_middle_in_an_error_and_not_in_the_report():
    report = Report("a", "b")
    report.add("missing_file", f"begin{'a' * 500}end.jpg")
    assert "begina" in report.summary()
    assert "aend.jpg)" in report.summary()
    assert len(report.summary()) < 320
    assert f"begin{'a' * 500}end.jpg" in str(report)
