import numpy as np
import pytest
from data.tiny_sets import boxes, read, write, write_photo, write_yolo_set

from keras_fpn.data import Dataset, Objects, Photo, read_yolo, write_yolo
from keras_fpn.data.yolo_files import label_file, names_stated, yolo_splits

BOX = "0 0.25 0.5 0.3 0.5\n"  # of 100x80: center 25, 40, size 30x40
CORNERS = [10, 20, 40, 60]


def test_boxes_are_read_in_pixels(tmp_path):
    labels = {"a": BOX + "\n1 0.5 0.5 1 1\n", "b": "", "c": None}
    dataset, report = read(read_yolo, write_yolo_set(tmp_path / "cells", labels))
    np.testing.assert_allclose(boxes(dataset), [CORNERS, [0, 0, 100, 80]], atol=1e-5)
    np.testing.assert_array_equal(dataset[0].objects.labels, [0, 1])
    assert (dataset.class_names, dataset.category_ids) == (("cat", "dog"), (0, 1))
    # A photo without a label file is kept like one with an empty file.
    assert [len(photo.objects) for photo in dataset.photos] == [2, 0, 0]
    assert report.counts == {"no_label_file": 1}
    assert report.defects == {}
    assert dataset.name == "cells"


def test_a_polygon_gives_mask_and_box(tmp_path):
    line = "1 0.1 0.25 0.4 0.25 0.4 0.75 0.1 0.5\n"
    dataset, report = read(read_yolo, write_yolo_set(tmp_path, {"a": BOX + line}))
    np.testing.assert_allclose(boxes(dataset), [CORNERS, CORNERS], atol=1e-5)
    assert dataset[0].objects.segments[0] is None
    np.testing.assert_allclose(
        dataset[0].objects.segments[1], [[10, 20, 40, 20, 40, 60, 10, 40]]
    )
    assert report.counts == {}


def test_keypoints_of_three_values_are_read(tmp_path):
    names = (
        "names: {0: cat}\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\n"
        "kpt_names:\n  0: [nose, left eye, right eye]\n"
    )
    line = BOX.strip() + " 0.1 0.5 2 0.2 0.25 1 0 0 0\n"
    dataset, report = read(read_yolo, write_yolo_set(tmp_path, {"a": line}, names))
    np.testing.assert_allclose(
        dataset[0].objects.keypoints, [[[10, 40, 2], [20, 20, 1], [0, 0, 0]]]
    )
    assert dataset.keypoint_names == ("nose", "left eye", "right eye")
    assert dataset.flip_pairs == ((1, 2),)
    assert report.counts == {}


def test_keypoints_of_two_values_are_visible_unless_zero(tmp_path):
    names = "names: [cat]\nkpt_shape: [2, 2]\nkpt_names: [[a, b]]\n"
    line = BOX.strip() + " 0.1 0.5 0 0\n"
    dataset, _ = read(read_yolo, write_yolo_set(tmp_path, {"a": line}, names))
    np.testing.assert_allclose(dataset[0].objects.keypoints, [[[10, 40, 2], [0, 0, 0]]])
    assert dataset.keypoint_names == ("0", "1")
    assert dataset.flip_pairs == ()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5 0.5", "unreadable_row"),
        ("0 0.5 0.5 0.5 0.5 0.9", "unreadable_row"),  # a score behind it
        ("0 0.5 0.5 0.5 0.5 0.9 0.1 0.2", "unreadable_row"),
        ("cat 0.5 0.5 0.5 0.5", "unreadable_row"),
        ("0.5 0.5 0.5 0.5 0.5", "unreadable_row"),
        ("nan 0.5 0.5 0.5 0.5", "unreadable_row"),
        ("2 0.5 0.5 0.5 0.5", "unknown_category"),
        ("-1 0.5 0.5 0.5 0.5", "unknown_category"),
        ("0 0.5 nan 0.5 0.5", "not_finite"),
        ("0 0.5 0.5 0 0.5", "no_area"),
        ("0 0.5 0.5 -0.5 0.5", "no_area"),
        ("0 1.5 0.5 0.5 0.5", "outside"),
    ],
)
def test_unusable_lines_are_counted_and_left_out(tmp_path, line, kind):
    dataset, report = read(read_yolo, write_yolo_set(tmp_path, {"a": f"{BOX}{line}\n"}))
    np.testing.assert_allclose(boxes(dataset), [CORNERS], atol=1e-5)
    assert report.defects == {kind: 1}
    assert "line 2 of" in report.examples[kind][0]


def test_a_box_that_leaves_the_photo_is_clipped(tmp_path):
    path = write_yolo_set(tmp_path, {"a": "0 0.95 0.5 0.3 0.5\n0.0 0.9 0.5 0.2001 1\n"})
    dataset, report = read(read_yolo, path)
    np.testing.assert_allclose(boxes(dataset)[0], [80, 20, 100, 60], atol=1e-4)
    assert report.defects == {"partly_outside": 1}


def test_pixels_instead_of_fractions_are_refused(tmp_path):
    lines = "0 25 40 30 40\n0 50 50 10 10\n1 50 40 100 80\n"
    with pytest.raises(
        ValueError,
        match=r"in fractions of the photo's sides; .* 3 of 3 impossible boxes, .*"
        "read as center x, center y, width, height, in pixels",
    ):
        read_yolo(write_yolo_set(tmp_path, {"a": lines}))


def test_files_that_are_no_text_or_have_no_photo_are_told(tmp_path):
    path = write_yolo_set(tmp_path, {"a": BOX, "b": BOX})
    (tmp_path / "labels/train/b.txt").write_bytes(b"\xff\xfe")
    write(tmp_path / "labels/train/gone.txt", BOX)
    write(tmp_path / "labels/train/classes.txt", "cat\ndog\n")
    dataset, report = read(read_yolo, path)
    assert [photo.path.stem for photo in dataset.photos] == ["a"]
    assert report.defects == {"unreadable_file": 1, "orphan_label": 1}


def test_label_files_must_be_somewhere(tmp_path):
    with pytest.raises(ValueError, match=r"with 2 photos and no .*a\.txt"):
        read_yolo(write_yolo_set(tmp_path, {"a": None, "b": None}))


def test_label_files_lie_in_labels_for_images(tmp_path):
    for photo, labels in [
        ("images/a.jpg", "labels/a.txt"),
        ("images/images/x/a.b.jpg", "images/labels/x/a.b.txt"),
        ("photos/a.jpg", "photos/a.txt"),
    ]:
        assert label_file(tmp_path / photo) == tmp_path / labels


def test_splits_are_read_one_by_one_or_together(tmp_path):
    write_yolo_set(tmp_path, {"a": BOX}, split="train")
    write_yolo_set(tmp_path, {"b": BOX}, split="val")
    write(tmp_path / "val.txt", "./images/val/b.jpg\n")
    path = write(
        tmp_path / "data.yaml", "train: [images/train]\nval: val.txt\nnames: [cat, dog]"
    )

    def stems(**kwargs):
        return [p.path.stem for p in read(read_yolo, path, **kwargs)[0].photos]

    assert stems() == ["a", "b"]
    assert stems(split="train") == ["a"]
    assert stems(split="val") == ["b"]
    with pytest.raises(ValueError, match=r"split='test'.*\['train', 'val'\]"):
        read_yolo(path, split="test")


def test_roboflows_folders_are_found(tmp_path):
    # It writes ../ for folders that are beside the file.
    write_photo(tmp_path / "valid/images/a.jpg")
    write(tmp_path / "valid/labels/a.txt", BOX)
    text = "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n"
    path = write(tmp_path / "data.yaml", text)
    dataset, _ = read(read_yolo, path, split="val")
    assert dataset[0].path.samefile(tmp_path / "valid/images/a.jpg")
    with pytest.raises(
        ValueError, match=r"'../train/images' in path=.*another split by its name"
    ):
        read_yolo(path)


@pytest.mark.parametrize("place", ["images/train", "train/images", "train"])
def test_folders_without_yaml_are_read(tmp_path, place):
    photo = write_photo(tmp_path / f"{place}/a.jpg")
    write(label_file(photo), BOX)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    for split in (None, "train"):
        dataset, report = read(read_yolo, tmp_path, split=split)
        assert [p.path for p in dataset.photos] == [photo]
        assert dataset.class_names == ("cat", "dog")
        assert report.counts == {}
    with pytest.raises(ValueError, match=r"split='val', .*without images/val"):
        read_yolo(tmp_path, split="val")


def test_a_list_of_photos_is_read(tmp_path):
    write_yolo_set(tmp_path, {"a": BOX, "b": BOX})
    path = write(tmp_path / "some.txt", "images/train/b.jpg\n")
    dataset, _ = read(read_yolo, path, class_names=["cat"])
    assert [photo.path.stem for photo in dataset.photos] == ["b"]
    with pytest.raises(ValueError, match=r"some\.txt', split='val'"):
        read_yolo(path, split="val")


def elsewhere(folder, *splits, train):
    """A data.yaml that names the folders of another machine, and folders here."""
    for split in splits:
        write_photo(folder / split / "images/a.jpg")
        write(folder / split / "labels/a.txt", BOX)
    return write(folder / "data.yaml", f"train: {train}\nnames: [cat]\n")


@pytest.mark.parametrize(
    "stated",
    [
        "/content/drive/ds-1/train/images",
        "C:\\Users\\me\\ds\\train\\images",
        "../../ds-1/train/images/",
        "../train/images",
    ],
)
def test_folders_of_another_machine_are_looked_for_here(tmp_path, stated):
    path = elsewhere(tmp_path, "train", "valid", train=stated)
    dataset, _ = read(read_yolo, path, split="train")
    assert dataset[0].path == tmp_path / "train/images/a.jpg"


def test_the_folder_of_another_split_is_not_taken_for_it(tmp_path):
    path = elsewhere(tmp_path, "valid", "", train="/content/ds/train/images")
    with pytest.raises(ValueError, match=r"'/content/ds/train/images' in .*not exist"):
        read_yolo(path, split="train")


def test_a_list_of_another_machine_is_read_here(tmp_path):
    elsewhere(tmp_path, "train", train="/content/ds/train.txt")
    write_photo(tmp_path / "train/images/b.jpg")
    names = [f"/content/ds/train/images/{name}.jpg" for name in "ab"]
    write(tmp_path / "train.txt", "\n".join(names))
    dataset, report = read(read_yolo, tmp_path / "data.yaml", split="train")
    assert [photo.path.name for photo in dataset.photos] == ["a.jpg", "b.jpg"]
    assert report.defects == {}
    write(tmp_path / "train.txt", "\n".join([*names, "/other/c.jpg"]))
    with pytest.raises(ValueError, match="no /content/ds/train/labels/a"):
        read_yolo(tmp_path / "data.yaml", split="train", report=None)


def test_a_yaml_may_call_its_split_valid(tmp_path):
    path = write_yolo_set(tmp_path, {"a": BOX}, split="valid")
    assert yolo_splits(path) == ["valid"]
    assert len(read(read_yolo, path, split="valid")[0]) == 1


def test_other_folders_are_splits_as_well(tmp_path):
    for split in ("train", "minival"):
        write_yolo_set(tmp_path, {"a": BOX}, split=split)
    (tmp_path / "data.yaml").unlink()
    assert yolo_splits(tmp_path) == ["train", "minival"]
    assert len(read(read_yolo, tmp_path, "minival", class_names=["cat"])[0]) == 1


def test_whether_classes_are_named_is_known(tmp_path):
    path = write_yolo_set(tmp_path, {"a": BOX})
    assert names_stated(path)
    assert names_stated(tmp_path)
    write(path, "train: images/train\n")
    photos = write(tmp_path / "photos.txt", "images/train/a.jpg\n")
    assert not any(map(names_stated, (path, tmp_path, photos)))
    write(tmp_path / "classes.txt", "cat\n")
    assert all(map(names_stated, (path, tmp_path, photos)))


def test_numbers_need_names(tmp_path):
    path = write_yolo_set(tmp_path, {"a": BOX}, names="nc: 2\n")
    with pytest.raises(ValueError, match=r"name its classes.*Pass `class_names`"):
        read_yolo(path)
    assert read(read_yolo, path, class_names=["cat"])[0].class_names == ("cat",)
    path = write_yolo_set(tmp_path, {"a": BOX}, names="names: {1: cat, 2: dog}\n")
    with pytest.raises(ValueError, match=r"numbered 0, 1, .*\{'1': 'cat', '2'"):
        read_yolo(path)


def test_classes_can_be_chosen_and_ordered(tmp_path):
    path = write_yolo_set(tmp_path, {"a": BOX + "1 0.5 0.5 1 1\n"})
    dataset, report = read(read_yolo, path, class_names=["dog"])
    assert (dataset.class_names, dataset.category_ids) == (("dog",), (1,))
    np.testing.assert_array_equal(dataset[0].objects.labels, [0])
    assert report.counts == {"unselected": 1}
    with pytest.raises(ValueError, match=r"\['yak'\], .*\['cat', 'dog'\]"):
        read_yolo(path, class_names=["yak"])


@pytest.mark.parametrize(
    "entries",
    ["kpt_shape: [2, 4]", "kpt_shape: 2", "kpt_shape: [2, 3]\nflip_idx: [0, 0]"],
)
def test_keypoint_shapes_are_checked(tmp_path, entries):
    path = write_yolo_set(tmp_path, {"a": BOX}, names=f"names: [cat]\n{entries}\n")
    with pytest.raises(ValueError, match="received kpt_shape="):
        read_yolo(path)


def test_two_yaml_files_of_data_are_told_apart(tmp_path):
    write_yolo_set(tmp_path, {"a": BOX})
    write(tmp_path / "hyp.yaml", "lr: 0.1\n")
    assert len(read(read_yolo, tmp_path)[0]) == 1
    write(tmp_path / "other.yml", "names: [a]\n")
    with pytest.raises(ValueError, match=r"\['data.yaml', 'other.yml'\]"):
        read_yolo(tmp_path)


def test_what_is_written_is_read_back(tmp_path):
    points = np.array([[[10.5, 20, 2], [30, 40, 1]]] * 2)
    objects = Objects(
        [[10.31, 20.07, 40.5, 60.01], [0, 0, 100, 80]], [1, 0], [0, 0], None, points
    )
    empty = Objects([], [], [], None, np.zeros((0, 2, 3)))
    photos = [
        Photo(1, write_photo(tmp_path / "in/a.jpg"), 80, 100, objects),
        Photo(2, write_photo(tmp_path / "in/b.png"), 80, 100, empty),
    ]
    # YAML would read the second as False, and a bare next line as a space.
    names = ['a "b": c \x85\x7f é', "no"]
    dataset = Dataset(photos, names, [0, 1], ["left ear", "right ear"], [(0, 1)])
    assert write_yolo(dataset, tmp_path / "out", split="val") == {}
    write_yolo(dataset[1:], tmp_path / "out", split="train")
    again, report = read(read_yolo, tmp_path / "out/data.yaml", split="val")
    assert report.counts == {}
    for name in ("class_names", "category_ids", "keypoint_names", "flip_pairs"):
        assert getattr(again, name) == getattr(dataset, name)
    np.testing.assert_array_equal(again[0].objects.labels, objects.labels)
    np.testing.assert_allclose(again[0].objects.boxes, objects.boxes, atol=1e-5)
    np.testing.assert_allclose(again[0].objects.keypoints, points, atol=1e-5)
    assert again[1].path == tmp_path / "out/images/val/b.png"
    assert len(again[1].objects) == 0
    assert len(read(read_yolo, tmp_path / "out", split="train")[0]) == 1


def test_what_is_not_written_is_told(tmp_path):
    polygon = [[0.0, 0.0, 9.0, 0.0, 9.0, 9.0]]
    objects = Objects(
        [[0, 0, 9, 9], [0, 0, 50, 40]], [0, 0], [True, False], [polygon, None]
    )
    photo = Photo(1, write_photo(tmp_path / "a.jpg"), 80, 100, objects)
    dataset = Dataset([photo], ["cat"], [1])
    assert write_yolo(dataset, tmp_path / "out") == {"masks": 1, "crowd regions": 1}
    # The crowd region is left out: a line would make one object of it.
    text = (tmp_path / "out/labels/train/a.txt").read_text()
    assert text == "0 0.25 0.25 0.5 0.5\n"
    with pytest.raises(ValueError, match="split='dev'"):
        write_yolo(dataset, tmp_path / "out", split="dev")
