import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from data.tiny_layouts import vocdevkit
from data.tiny_sets import boxes, read, voc_object, write, write_photo, write_voc_photo

from keras_fpn.data import Dataset, Objects, Photo, read_voc, write_voc
from keras_fpn.data.voc import find_voc, voc_splits

INSIDE = voc_object((11, 21, 40, 60))  # xmin, ymin, xmax, ymax


def test_a_folder_is_read(tmp_path):
    write_voc_photo(tmp_path, "a", [INSIDE, voc_object((1, 1, 100, 80), "yak", 1)])
    write_voc_photo(tmp_path, "b")
    dataset, report = read(read_voc, tmp_path)
    # Pixels count from 1, the last one included: 1..100 of 100 is all, 0 to 100.
    assert boxes(dataset) == [[10, 20, 40, 60], [0, 0, 100, 80]]
    assert (dataset.class_names, dataset.category_ids) == (("cat", "yak"), (1, 2))
    np.testing.assert_array_equal(dataset[0].objects.labels, [0, 1])
    # A difficult object is one that is ignored: a crowd region.
    np.testing.assert_array_equal(dataset[0].objects.is_crowd, [False, True])
    assert [photo.image_id for photo in dataset.photos] == [1, 2]
    assert [len(photo.objects) for photo in dataset.photos] == [2, 0]
    assert dataset[1].path == tmp_path / "JPEGImages/b.jpg"
    assert report.counts == {}
    assert dataset.name == tmp_path.name


def test_files_that_count_edges_from_0_are_read_as_they_are(tmp_path):
    write_voc_photo(tmp_path, "a", [voc_object((0, 20, 40, 60))])
    dataset, report = read(read_voc, tmp_path, numbered_from_1=False)
    assert boxes(dataset) == [[0, 20, 40, 60]]
    assert report.counts == {}


def test_a_0_where_numbers_start_at_1_is_told(tmp_path):
    write_voc_photo(tmp_path, "a", [voc_object((0, 20, 40, 60))])
    dataset, report = read(read_voc, tmp_path)
    assert boxes(dataset) == [[0, 19, 40, 60]]
    assert report.counts == {"partly_outside": 1, "numbered_from_0": 1}
    assert "numbered_from_1=False" in str(report)


@pytest.mark.parametrize(
    ("corners", "kind"),
    [
        ((50, 30, 50, 30), "no_area"),  # a click without a drag
        ((50, 30, 50, 40), "no_area"),
        ((50, 30, 40, 40), "no_area"),
        (("nan", 30, 60, 40), "not_finite"),
        ((101, 30, 120, 40), "outside"),
        (("a", 30, 60, 40), "unreadable_object"),
        (("", 30, 60, 40), "unreadable_object"),
    ],
)
def test_unusable_boxes_are_counted_and_left_out(tmp_path, corners, kind):
    write_voc_photo(tmp_path, "a", [INSIDE, voc_object(corners)])
    dataset, report = read(read_voc, tmp_path)
    assert boxes(dataset) == [[10, 20, 40, 60]]
    assert report.defects == {kind: 1}
    assert "object 2 (cat) of a.xml" in report.examples[kind][0]


def test_a_split_is_read_by_name_or_by_its_file(tmp_path):
    for stem in ("a", "b", "c d"):
        write_voc_photo(tmp_path, stem, [INSIDE])
    splits = tmp_path / "ImageSets/Main"
    write(splits / "train.txt", "b\nc d\nb\n")
    write(splits / "cat_val.txt", "a  1\nb -1\nc d  0\n")
    train, report = read(read_voc, tmp_path, split="train")
    assert [photo.path.stem for photo in train.photos] == ["b", "c d"]
    assert train.name == f"{tmp_path.name}/train"
    assert report.counts == {}
    val, _ = read(read_voc, splits / "cat_val.txt")
    assert [photo.path.stem for photo in val.photos] == ["a", "b", "c d"]
    with pytest.raises(ValueError, match=r"split='dev'.*\['cat_val', 'train'\]"):
        read_voc(tmp_path, split="dev")
    with pytest.raises(ValueError, match=r"train\.txt', split='train'"):
        read_voc(splits / "train.txt", split="train")


def test_a_devkit_is_the_years_that_have_the_split(tmp_path):
    root = vocdevkit(tmp_path)
    for path in (root, tmp_path):  # the folder, or the one that it was unpacked into
        train, report = read(read_voc, path, split="train")
        assert [photo.path.stem for photo in train.photos] == ["a", "b", "c"]
        assert train.name == f"{path.name}/train"
        assert report.counts == {}
        test, _ = read(read_voc, path, split="test")
        assert [photo.path.stem for photo in test.photos] == ["f"]
        assert len(read(read_voc, path)[0]) == 6
        with pytest.raises(ValueError, match=r"split='dev', .*'train', 'trainval', 'v"):
            read_voc(path, split="dev")


def test_classes_are_those_of_all_years(tmp_path):
    root = vocdevkit(tmp_path)
    (root / "VOC2012/Annotations/c.xml").unlink()
    write_voc_photo(root / "VOC2012", "c", [voc_object((1, 1, 9, 9), "ant")])
    for split in ("train", "test"):
        assert read(read_voc, root, split=split)[0].class_names == ("ant", "cat")


def test_lists_of_one_class_are_no_splits(tmp_path):
    assert voc_splits(vocdevkit(tmp_path)) == ["test", "train", "trainval", "val"]


def test_the_folder_of_xml_files_may_be_lower_case(tmp_path):
    write_voc_photo(tmp_path, "a", [INSIDE])
    (tmp_path / "Annotations").rename(tmp_path / "annotations")
    (tmp_path / "JPEGImages").rename(tmp_path / "images")
    assert boxes(read(read_voc, tmp_path)[0]) == [[10, 20, 40, 60]]


def test_annotations_alone_are_a_data_set_if_their_photos_are_among_them(tmp_path):
    folder = write_voc_photo(tmp_path, "a", [INSIDE]) / "Annotations"
    assert find_voc(tmp_path) == [tmp_path]
    assert find_voc(folder) == []
    (tmp_path / "JPEGImages/a.jpg").rename(folder / "a.jpg")
    assert find_voc(folder) == [folder]
    assert find_voc(tmp_path / "JPEGImages") == []


def test_labels_do_not_depend_on_the_split(tmp_path):
    write_voc_photo(tmp_path, "a", [INSIDE])
    write_voc_photo(tmp_path, "b", [voc_object((1, 1, 9, 9), "ant")])
    write(tmp_path / "ImageSets/Main/train.txt", "a.jpg\n")
    train, _ = read(read_voc, tmp_path, split="train")
    assert train.class_names == ("ant", "cat")
    np.testing.assert_array_equal(train[0].objects.labels, [1])


def test_classes_can_be_given(tmp_path):
    write_voc_photo(tmp_path, "a", [INSIDE, voc_object((1, 1, 9, 9), "ant")])
    names = write(tmp_path / "names.txt", "yak\ncat\n")
    dataset, report = read(read_voc, tmp_path, class_names=names)
    assert dataset.class_names == ("yak", "cat")
    np.testing.assert_array_equal(dataset[0].objects.labels, [1])
    assert report.defects == {"unknown_category": 1}


def test_files_of_a_split_that_are_missing_are_told_apart(tmp_path):
    write_voc_photo(tmp_path, "a", [INSIDE])
    write_voc_photo(tmp_path, "b", [INSIDE], photo=False)
    write_photo(tmp_path / "JPEGImages/c.jpg")
    write(tmp_path / "Annotations/d.xml", "<annotation><object>")
    write(tmp_path / "Annotations/e.xml", "<html></html>")
    write(tmp_path / "ImageSets/Main/all.txt", "a\nb\nc\nd\ne\n")
    dataset, report = read(read_voc, tmp_path, split="all")
    assert [photo.path.stem for photo in dataset.photos] == ["a"]
    assert report.defects == {
        "missing_file": 1,
        "not_annotated": 1,
        "unreadable_file": 2,
    }
    assert "<html>, not <annotation>" in report.examples["unreadable_file"][1]
    _, report = read(read_voc, tmp_path)
    assert report.defects == {"missing_file": 1, "unreadable_file": 2}
    assert report.examples["no_annotation"] == [str(tmp_path / "JPEGImages/c.jpg")]


def test_photos_are_found_by_the_xml_files_name_then_by_what_it_says(tmp_path):
    write_photo(tmp_path / "one.png")
    write_photo(tmp_path / "two.png")
    text = "<annotation><filename>{}</filename>" + INSIDE + "</annotation>"
    write(tmp_path / "one.xml", text.format("two.png"))
    write(tmp_path / "renamed.xml", text.format("C:/photos/two.jpg"))
    dataset, report = read(read_voc, tmp_path)
    assert [photo.path.name for photo in dataset.photos] == ["one.png", "two.png"]
    assert report.counts == {}


@pytest.mark.parametrize("size", [(0, 0), ("", "")])
def test_an_unknown_size_is_read_from_the_photo(tmp_path, size):
    write_voc_photo(tmp_path, "a", [INSIDE], size=size)
    dataset, report = read(read_voc, tmp_path)
    assert (dataset[0].height, dataset[0].width) == (80, 100)
    assert report.counts == {}


def test_a_folder_of_broken_files_is_refused_with_their_faults(tmp_path):
    write(tmp_path / "a.xml", "<annotation><obj")
    with pytest.raises(ValueError, match=r"1 annotation file: .*a\.xml: ParseError"):
        read_voc(tmp_path, report=None)


def test_numbers_as_names_are_the_image_ids(tmp_path):
    for stem in ("000012", "000007"):
        write_voc_photo(tmp_path, stem, [INSIDE])
    assert [p.image_id for p in read(read_voc, tmp_path)[0].photos] == [7, 12]


def test_the_encoding_that_an_xml_file_names_is_used(tmp_path):
    write_voc_photo(tmp_path, "a")
    text = '<?xml version="1.0" encoding="latin-1"?><annotation>{}</annotation>'
    text = text.format(voc_object((1, 1, 9, 9), "pão"))
    (tmp_path / "Annotations/a.xml").write_bytes(text.encode("latin-1"))
    assert read(read_voc, tmp_path)[0].class_names == ("pão",)


def test_folders_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path='.*nowhere', split=None"):
        read_voc(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"must have xml files; .*none in"):
        read_voc(tmp_path)
    write_voc_photo(tmp_path, "a")
    with pytest.raises(ValueError, match=r"names of its classes; .*Pass `class_names`"):
        read_voc(tmp_path)


def test_what_is_written_is_read_back(tmp_path):
    photos = []
    for place, folder in enumerate(("x", "y")):
        path = write_photo(tmp_path / folder / "same.jpg")
        box = [[10.25, 20.07, 40.5, 60], [3, 4, 5, 6]][: 2 - place]
        objects = Objects(box, [1, 0][: 2 - place], [False, True][: 2 - place])
        photos.append(Photo(place + 5, path, 80, 100, objects))
    photos.append(
        Photo(9, write_photo(tmp_path / "z.png"), 80, 100, Objects([], [], []))
    )
    dataset = Dataset(photos, ["a & b", "<c>"], [1, 2])
    assert write_voc(dataset, tmp_path / "voc", split="train") == {}
    again, report = read(
        read_voc, tmp_path / "voc", split="train", class_names=dataset.class_names
    )
    # Photos of one name are told apart by their ids.
    names = [photo.path.name for photo in again.photos]
    assert names == ["same_5.jpg", "same_6.jpg", "z.png"]
    assert report.counts == {}
    for photo, copy in zip(dataset.photos, again.photos, strict=True):
        for name in ("boxes", "labels", "is_crowd"):
            np.testing.assert_array_equal(
                getattr(copy.objects, name), getattr(photo.objects, name)
            )
        assert copy.path.read_bytes() == photo.path.read_bytes()
    # The order of the classes is not held: without it they are sorted.
    sorted_names = read(read_voc, tmp_path / "voc")[0].class_names
    assert sorted_names == ("<c>", "a & b")


def test_the_written_form_is_vocs(tmp_path):
    write_voc_photo(tmp_path / "in", "a", [INSIDE])
    write_voc(read(read_voc, tmp_path / "in")[0], tmp_path / "out")
    tree = ElementTree.parse(tmp_path / "out/Annotations/a.xml").getroot()
    corners = [tree.findtext(f"object/bndbox/{c}") for c in ("xmin", "ymin", "xmax")]
    assert corners == ["11", "21", "40"]
    assert tree.findtext("filename") == "a.jpg"
    assert tree.findtext("size/width") == "100"
    assert not (tmp_path / "out/ImageSets").exists()


def test_what_voc_does_not_hold_is_told(tmp_path):
    path = write_photo(tmp_path / "a.jpg")
    polygon = [[0.0, 0.0, 9.0, 0.0, 9.0, 9.0]]
    objects = Objects(
        [[0, 0, 9, 9], [5, 5, 6, 9]],
        [0, 0],
        [True, False],
        [polygon, None],
        np.ones((2, 1, 3)),
    )
    dataset = Dataset([Photo(1, path, 80, 100, objects)], ["cat"], [1], ["nose"])
    assert write_voc(dataset, tmp_path / "voc") == {
        "masks": 1,
        "objects with keypoints": 2,
        "boxes of at most a pixel's width or height": 1,
    }
    assert read(read_voc, tmp_path / "voc")[1].defects == {"no_area": 1}
