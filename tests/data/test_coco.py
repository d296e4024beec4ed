import json

import numpy as np
import pytest
from data.tiny_sets import (
    boxes,
    coco_contents,
    read,
    write,
    write_coco_set,
    write_photo,
)

from keras_fpn.data import read_coco
from keras_fpn.data.coco import flip_pairs
from keras_fpn.data.coco_writer import coco_dict
from keras_fpn.data.masks import segment_mask

SQUARE = [10, 20, 40, 20, 40, 60, 10, 60]
INSIDE = {"bbox": [10, 20, 30, 40]}


def image(number, name="a.jpg"):
    return {"id": number, "file_name": name, "width": 100, "height": 80}


def test_a_whole_file_is_read(tmp_path):
    path = write_coco_set(
        tmp_path,
        [
            {"bbox": [10, 20, 30, 40], "segmentation": [SQUARE]},
            {"bbox": [0, 0, 100, 80], "category_id": 5, "iscrowd": 1},
        ],
    )
    dataset, report = read(read_coco, path)
    first, second = dataset.photos
    assert (first.image_id, first.path, first.height, first.width) == (
        7,
        tmp_path / "a.jpg",
        80,
        100,
    )
    # x, y, width, height -> x1, y1, x2, y2
    np.testing.assert_array_equal(
        first.objects.boxes, [[10, 20, 40, 60], [0, 0, 100, 80]]
    )
    # Labels follow the category ids, not their order in the file: 3 cat, 5 dog.
    assert (dataset.class_names, dataset.category_ids) == (("cat", "dog"), (3, 5))
    np.testing.assert_array_equal(first.objects.labels, [0, 1])
    np.testing.assert_array_equal(first.objects.is_crowd, [False, True])
    assert first.objects.segments == ([SQUARE], None)
    # A photo without objects is kept.
    assert (second.image_id, len(second.objects)) == (9, 0)
    assert second.objects.segments is None
    assert dataset.name == "set"
    assert report.counts == {}


def test_a_crowd_has_plain_run_lengths(tmp_path):
    # Down the columns of 80 pixels: 80 outside, then 2 columns inside.
    runs = {"size": [80, 100], "counts": [80, 160, 7760]}
    crowd = {"bbox": [1, 0, 2, 80], "iscrowd": 1, "segmentation": runs}
    dataset, report = read(read_coco, write_coco_set(tmp_path, [crowd]))
    mask = segment_mask(dataset[0].objects.segments[0], (80, 100))
    assert mask[:, 1:3].all()
    assert mask.sum() == 160
    assert report.counts == {}


def test_keypoints_come_with_names_and_pairs(tmp_path):
    categories = [
        {"id": 3, "name": "cat", "keypoints": ["nose", "left_eye", "Right_eye"]}
    ]
    points = [1, 2, 2, 3, 4, 1, 0, 0, 0]
    path = write_coco_set(
        tmp_path, [{**INSIDE, "keypoints": points}, INSIDE], categories=categories
    )
    dataset, report = read(read_coco, path)
    assert dataset.keypoint_names == ("nose", "left_eye", "Right_eye")
    assert dataset.flip_pairs == ((1, 2),)
    np.testing.assert_array_equal(
        dataset[0].objects.keypoints,
        [[[1, 2, 2], [3, 4, 1], [0, 0, 0]], np.zeros((3, 3))],
    )
    assert dataset[1].objects.keypoints.shape == (0, 3, 3)
    assert report.defects == {}


def test_a_skeleton_counts_from_0_and_in_files_from_1(tmp_path):
    cat = {"id": 3, "name": "cat", "keypoints": ["nose", "ear", "tail"]}
    path = write_coco_set(
        tmp_path, [INSIDE], categories=[{**cat, "skeleton": [[1, 3], [2, 1]]}]
    )
    dataset, _ = read(read_coco, path)
    assert dataset.skeleton == ((0, 2), (1, 0))
    [written] = coco_dict(dataset)["categories"]
    assert written["skeleton"] == [[1, 3], [2, 1]]
    for wrong in ([[0, 1]], [[1, 4]], [[1]], 7, ["ab"]):
        path = write_coco_set(
            tmp_path, [INSIDE], categories=[{**cat, "skeleton": wrong}]
        )
        with pytest.raises(ValueError, match=r"pairs of keypoints, 1\.\.3; received"):
            read_coco(path)


def test_broken_keypoints_count_as_not_annotated(tmp_path):
    categories = [{"id": 3, "name": "cat", "keypoints": ["nose"]}]
    wrong = [[1, 2], [1, float("nan"), 2], [1, 2, 7], "nose"]
    annotations = [{"bbox": [i, 0, 9, 9], "keypoints": w} for i, w in enumerate(wrong)]
    path = write_coco_set(tmp_path, annotations, categories=categories)
    dataset, report = read(read_coco, path)
    np.testing.assert_array_equal(dataset[0].objects.keypoints, np.zeros((4, 1, 3)))
    assert report.defects == {"bad_keypoints": 4}


def test_categories_with_other_keypoints_are_refused(tmp_path):
    categories = [
        {"id": 3, "name": "cat", "keypoints": ["nose"]},
        {"id": 5, "name": "dog", "keypoints": ["tail"]},
    ]
    path = write_coco_set(tmp_path, [INSIDE], categories=categories)
    with pytest.raises(ValueError, match=r"\('nose',\), \('tail',\)"):
        read_coco(path)
    dataset, _ = read(read_coco, path, class_names=["cat"])
    assert dataset.keypoint_names == ("nose",)


def test_pairs_are_found_by_name():
    names = ["nose", "left_eye", "right_eye", "left_tail", "Left Paw", "Right Paw"]
    assert flip_pairs(names) == ((1, 2), (4, 5))


def test_classes_can_be_chosen_and_ordered(tmp_path):
    path = write_coco_set(tmp_path, [INSIDE, {**INSIDE, "category_id": 5}])
    dataset, report = read(read_coco, path, class_names=["dog"])
    assert (dataset.class_names, dataset.category_ids) == (("dog",), (5,))
    np.testing.assert_array_equal(dataset[0].objects.labels, [0])
    assert report.counts == {"unselected": 1}
    assert report.defects == {}
    reordered, _ = read(read_coco, path, class_names=["dog", "cat"])
    np.testing.assert_array_equal(reordered[0].objects.labels, [1, 0])
    with pytest.raises(ValueError, match=r"\['yak'\].*\['cat', 'dog'\]"):
        read_coco(path, class_names=["yak", "cat"])


GROUP = {"id": 0, "name": "animals", "supercategory": "none"}
ANIMALS = [{"id": 3, "name": "cat", "supercategory": "animals"}]


def test_a_row_that_only_names_a_group_is_no_class(tmp_path):
    path = write_coco_set(tmp_path, [INSIDE], categories=[GROUP, *ANIMALS])
    dataset, report = read(read_coco, path)
    assert (dataset.class_names, dataset.category_ids) == (("cat",), (3,))
    assert report.counts == {}
    dataset, _ = read(read_coco, path, class_names=["animals", "cat"])
    assert dataset.class_names == ("animals", "cat")


@pytest.mark.parametrize(
    ("categories", "category"),
    [
        ([GROUP, *ANIMALS], 0),  # something is annotated as it
        ([GROUP, {"id": 3, "name": "cat", "supercategory": "pets"}], 3),
        ([GROUP | {"supercategory": "all"}, *ANIMALS], 3),
        ([GROUP | {"id": 1}, *ANIMALS], 3),
        ([GROUP], 0),
    ],
)
def test_other_first_rows_are_classes(tmp_path, categories, category):
    one = {**INSIDE, "category_id": category}
    path = write_coco_set(tmp_path, [one], categories=categories)
    assert read(read_coco, path)[0].class_names[0] == "animals"


@pytest.mark.parametrize(
    "place",
    [
        "images/a.jpg",
        "../images/a.jpg",
        "../train2017/a.jpg",
        "../images/train2017/a.jpg",
        "train2017/a.jpg",
    ],
)
def test_photos_are_found_in_the_usual_folders(tmp_path, place):
    folder = tmp_path / "annotations"
    contents = coco_contents([INSIDE], images=[image(7)])
    path = write(folder / "instances_train2017.json", json.dumps(contents))
    photo = write_photo(folder / place)
    dataset, report = read(read_coco, path)
    assert dataset[0].path.samefile(photo)
    assert report.counts == {}


def test_photos_may_be_anywhere_if_their_folder_is_named(tmp_path):
    path = write(tmp_path / "a/b/c/set.json", json.dumps(coco_contents([INSIDE])))
    with pytest.raises(ValueError, match=r"'a\.jpg' and 1 others.*folder: `images`"):
        read_coco(path)
    for name in ("a.jpg", "b.jpg"):
        write_photo(tmp_path / f"photos/{name}")
    dataset, _ = read(read_coco, path, images=tmp_path / "photos")
    assert dataset[1].path == tmp_path / "photos/b.jpg"
    with pytest.raises(ValueError, match=r"images='.*nowhere'"):
        read_coco(path, images=tmp_path / "nowhere")


def test_backslashes_in_file_names_are_folders(tmp_path):
    images = [image(7, "sub\\a.jpg")]
    path = write(tmp_path / "set.json", json.dumps(coco_contents([INSIDE], images)))
    photo = write_photo(tmp_path / "sub/a.jpg")
    assert read(read_coco, path)[0][0].path == photo


def test_numbers_may_be_text_or_floats_but_whole(tmp_path):
    images = [{"id": "7", "file_name": "a.jpg", "width": 100.0, "height": "80"}]
    annotation = {"bbox": [10.0, 20, 30, 40], "image_id": 7.0, "category_id": "3"}
    path = write_coco_set(tmp_path, [annotation], images)
    dataset, report = read(read_coco, path)
    assert (dataset[0].image_id, boxes(dataset)) == (7, [[10, 20, 40, 60]])
    assert report.counts == {}


@pytest.mark.parametrize("number", [None, "x", 1.5, -1, 2**31, True])
def test_image_ids_are_whole_numbers_of_31_bits(tmp_path, number):
    path = write_coco_set(tmp_path, [INSIDE], [{"id": number, "file_name": "a.jpg"}])
    with pytest.raises(ValueError, match=f"2147483647; received .*'id': {number!r}"):
        read_coco(path)


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ({"bbox": [10, 20, 30]}, "unreadable_object"),
        ({"bbox": None}, "unreadable_object"),
        ({"bbox": "10 20 30 40"}, "unreadable_object"),
        ({}, "unreadable_object"),
        ({"bbox": [10, 20, float("nan"), 40]}, "not_finite"),
        ({"bbox": [10, 20, float("inf"), 40]}, "not_finite"),
        ({"bbox": [10, 20, 0, 40]}, "no_area"),
        ({"bbox": [10, 20, 30, -40]}, "no_area"),
        ({"bbox": [100, 20, 30, 40]}, "outside"),
        ({"bbox": [10, -50, 30, 40]}, "outside"),
        ({**INSIDE, "category_id": 4}, "unknown_category"),
        ({**INSIDE, "category_id": None}, "unknown_category"),
        ({**INSIDE, "image_id": 8}, "unknown_image"),
    ],
)
def test_unusable_objects_are_counted_and_left_out(tmp_path, annotation, kind):
    path = write_coco_set(tmp_path, [INSIDE, annotation])
    dataset, report = read(read_coco, path)
    assert boxes(dataset) == [[10, 20, 40, 60]]
    assert report.defects == {kind: 1}
    assert "annotation 2" in report.examples[kind][0]
    with pytest.raises(ValueError, match=r"strict=True; .*1 \w+: .*annotation 2"):
        read_coco(path, strict=True, report=None)


def test_annotations_that_are_no_dicts_are_left_out(tmp_path):
    contents = coco_contents([INSIDE])
    contents["annotations"].append([1, 2])
    path = write_coco_set(tmp_path)
    path.write_text(json.dumps(contents))
    assert read(read_coco, path)[1].defects == {"unreadable_object": 1}


def test_boxes_that_leave_the_photo_are_clipped(tmp_path):
    path = write_coco_set(
        tmp_path, [{"bbox": [-5, 20, 30, 40]}, {"bbox": [90.0, 20, 10.01, 60]}]
    )
    dataset, report = read(read_coco, path)
    # The second exceeds the photo by rounding only: clipped, but no defect.
    assert boxes(dataset) == [[0, 20, 25, 60], [90, 20, 100, 80]]
    assert report.defects == {"partly_outside": 1}
    assert "-5, 20, 25, 60 in a photo of 100x80" in report.examples["partly_outside"][0]


def test_duplicate_annotation_ids_are_told_apart(tmp_path):
    other = {"bbox": [50, 20, 30, 40], "id": 1}
    dataset, report = read(
        read_coco, write_coco_set(tmp_path, [INSIDE, {**INSIDE, "id": 1}, other])
    )
    assert boxes(dataset) == [[10, 20, 40, 60], [50, 20, 80, 60]]
    assert report.defects == {"repeated_object": 1, "shared_id": 1}


def test_the_same_box_under_another_id_is_noted(tmp_path):
    dataset, report = read(read_coco, write_coco_set(tmp_path, [INSIDE, INSIDE]))
    assert len(dataset[0].objects) == 2
    assert report.counts == {"same_box": 1}
    assert report.defects == {}


def test_duplicate_image_ids_are_told_apart(tmp_path):
    images = [image(7), image(7), image(9, "b.jpg"), image(9, "a.jpg")]
    dataset, report = read(read_coco, write_coco_set(tmp_path, [INSIDE], images))
    assert [photo.image_id for photo in dataset.photos] == [7]
    assert report.defects == {"repeated_image": 1, "ambiguous_image_id": 1}
    assert report.examples["ambiguous_image_id"] == ["id 9: b.jpg and a.jpg"]


def test_one_file_under_two_ids_is_noted(tmp_path):
    path = write_coco_set(tmp_path, [INSIDE], [image(7), image(8)])
    dataset, report = read(read_coco, path)
    assert len(dataset) == 2
    assert report.counts == {"repeated_photo": 1}
    assert "ids [7, 8]" in report.examples["repeated_photo"][0]


def test_a_broken_mask_is_dropped_but_not_its_object(tmp_path):
    path = write_coco_set(
        tmp_path,
        [
            {**INSIDE, "segmentation": [[1, 2, 3]]},
            {"bbox": [0, 0, 5, 5], "segmentation": []},
        ],
    )
    dataset, report = read(read_coco, path)
    assert len(dataset[0].objects) == 2
    assert dataset[0].objects.segments is None
    assert report.defects == {"bad_mask": 1}


def test_boxes_as_corners_are_refused(tmp_path):
    corners = [[60, 50, 90, 70], [50, 10, 95, 60], [70, 5, 99, 79]]
    path = write_coco_set(tmp_path, [{"bbox": box} for box in corners])
    with pytest.raises(
        ValueError,
        match=r"stated as x, y, width, height, in pixels; .* 3 of 3 impossible boxes.*"
        r"\[60.0, 50.0, 90.0, 70.0\] in a photo of 100x80.* as x1, y1, x2, y2",
    ):
        read_coco(path)


def test_a_cut_file_says_where_it_ends(tmp_path):
    path = write_coco_set(tmp_path, [INSIDE])
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    message = rf"character \d+ of {len(text) // 2}\. Is it truncated"
    with pytest.raises(ValueError, match=message):
        read_coco(path)


def test_an_absent_or_binary_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.json': No such file"):
        read_coco(tmp_path / "none.json")
    (tmp_path / "a.json").write_bytes(b'{"images": "\xff\xfe"}')
    with pytest.raises(ValueError, match=r"UTF-8 text; .*a.json', .*at byte 12"):
        read_coco(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "a list: are these results"),
        ("{}", r"without \['images', 'categories'\], with \[\]"),
        ("3", "without .*, with 3"),
        ('{"images": {}, "categories": []}', r"without \['images'\]"),
        ('{"images": [], "categories": []}', "must have a category"),
        ('{"images": [], "categories": [{"id": 1}]}', r"a name; received {'id': 1}"),
        ('{"images": [3], "categories": [{"id": 1, "name": "a"}]}', "received 3 in"),
        (
            '{"images": [], "categories": '
            '[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "'b' and 'a' have id 1",
        ),
        ('{"images": [], "categories": [{"id": 1, "name": "a"}]}', "lists none"),
    ],
)
def test_other_contents_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_coco(write(tmp_path / "a.json", text))


def test_a_list_of_test_photos_has_no_annotations(tmp_path):
    contents = coco_contents()
    del contents["annotations"]
    write_coco_set(tmp_path)
    dataset, _ = read(read_coco, write(tmp_path / "t.json", json.dumps(contents)))
    assert [len(photo.objects) for photo in dataset.photos] == [0, 0]


def test_a_data_set_without_a_sound_object_is_refused(tmp_path):
    path = write_coco_set(tmp_path, [{**INSIDE, "category_id": 8}])
    with pytest.raises(ValueError, match="1 object: unknown category; left out"):
        read_coco(path, report=None)


@pytest.mark.parametrize("keypoints", ["nose", ["nose", 3], [["nose"]]])
def test_keypoints_of_a_category_are_names(tmp_path, keypoints):
    categories = [{"id": 3, "name": "cat", "keypoints": keypoints}]
    path = write_coco_set(tmp_path, [INSIDE], categories=categories)
    with pytest.raises(ValueError, match=r"a list of names; received .*nose"):
        read_coco(path)
