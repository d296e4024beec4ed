import json

import numpy as np
import pytest
from data.tiny_panoptic import CAT, DOGS, SIZE, SKY, ids_of_a, write_panoptic_set
from data.tiny_sets import boxes, read
from PIL import Image

from keras_fpn.data import (
    Report,
    check_dataset,
    load_sample,
    open_dataset,
    read_coco,
    read_coco_panoptic,
    write_coco,
)
from keras_fpn.data.check import check_pixel_labels
from keras_fpn.data.fingerprint import fingerprint


def test_things_become_objects_and_stuff_a_semantic_map(tmp_path):
    dataset, report = read(read_coco_panoptic, write_panoptic_set(tmp_path))
    assert report.counts == {}
    # Labels follow the category ids: cat 3, dog 5; grass 30, sky 40.
    assert (dataset.class_names, dataset.category_ids) == (("cat", "dog"), (3, 5))
    assert (dataset.stuff_names, dataset.stuff_ids) == (("grass", "sky"), (30, 40))
    assert dataset.semantic_names == ("things", "grass", "sky")
    assert [photo.path.name for photo in dataset.photos] == ["a.jpg", "b.jpg"]
    assert boxes(dataset) == [[0, 0, 4, 6], [4, 0, 9, 3]]
    np.testing.assert_array_equal(dataset[0].objects.labels, [0, 1])
    np.testing.assert_array_equal(dataset[0].objects.is_crowd, [False, True])
    assert len(dataset[1].objects) == 0
    assert (dataset.has_masks, dataset.has_semantic) == (True, True)
    sample = load_sample(dataset[0], masks=True, semantic=True)
    ids = ids_of_a()
    np.testing.assert_array_equal(sample["masks"], [ids == CAT, ids == DOGS])
    # Sky is class 1 of stuff; 0 is any thing, 255 what is not annotated.
    values = np.select([ids == SKY, ids == 0], [2, 255], 0)
    np.testing.assert_array_equal(sample["semantic_map"], values)
    assert sample["semantic_map"].dtype == np.uint8
    grass = load_sample(dataset[1], semantic=True)["semantic_map"]
    np.testing.assert_array_equal(grass, 1)


def test_the_panoptic_map_has_the_ids_of_the_file(tmp_path):
    dataset, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path))
    numbers, segments = dataset[0].pixel_labels.panoptic_map(SIZE)
    np.testing.assert_array_equal(numbers, ids_of_a())
    assert numbers.dtype == np.int32
    named = {"id", "label", "isthing", "iscrowd"}
    assert all(set(segment) == named for segment in segments)
    assert [tuple(segment.values()) for segment in segments] == [
        (SKY, 1, False, False),
        (CAT, 0, True, False),
        (DOGS, 1, True, True),
    ]


def test_things_that_are_not_selected_stay_things(tmp_path):
    path = write_panoptic_set(tmp_path)
    dataset, report = read(read_coco_panoptic, path, class_names=["dog"])
    assert report.counts == {"unselected": 1}
    assert "segment 7 of a.png: cat" in report.examples["unselected"][0]
    assert boxes(dataset) == [[4, 0, 9, 3]]
    labels = dataset[0].pixel_labels
    assert labels.semantic_map(SIZE)[0, 0] == 0
    numbers, segments = labels.panoptic_map(SIZE)
    assert numbers[0, 0] == 0
    assert [segment["id"] for segment in segments] == [SKY, DOGS]


def test_it_is_recognized_by_its_content(tmp_path):
    path = write_panoptic_set(tmp_path)
    for place in (path, tmp_path):
        dataset, report = read(open_dataset, place)
        assert dataset.stuff_names == ("grass", "sky")
    assert "2 photos with semantic labels, 2 classes of stuff" in str(report)


def test_it_survives_the_check_and_becomes_coco_instances(tmp_path):
    dataset, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path))
    again, report = read(check_dataset, dataset)
    assert report.counts == {}
    assert again.stuff_names == dataset.stuff_names
    assert again[0].pixel_labels is dataset[0].pixel_labels
    write_coco(dataset, tmp_path / "instances.json")
    written, _ = read(read_coco, tmp_path / "instances.json")
    np.testing.assert_array_equal(
        load_sample(written[0], masks=True)["masks"][0], ids_of_a() == CAT
    )


def test_the_fingerprint_depends_on_the_segments(tmp_path):
    first, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path))
    same, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path))

    def other(contents):
        contents["annotations"][1]["segments_info"][0]["category_id"] = 30

    changed, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path, change=other))
    assert fingerprint(first) == fingerprint(same) != fingerprint(changed)


def test_a_png_is_read_again_when_it_has_changed(tmp_path):
    dataset, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path))
    assert dataset[0].pixel_labels.semantic_map(SIZE)[0, 0] == 0
    ids = ids_of_a()
    ids[:5, 0] = 0
    write_panoptic_set(tmp_path, ids)
    assert dataset[0].pixel_labels.semantic_map(SIZE)[0, 0] == 255


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (CAT, 8, r"a\.png with ids 8, which they lack"),
        (SKY, 0, r"a\.png without the ids 70000"),
    ],
)
def test_ids_that_differ_are_told_when_the_png_is_read(tmp_path, old, new, message):
    ids = ids_of_a()
    ids[ids == old] = new
    dataset, report = read(read_coco_panoptic, write_panoptic_set(tmp_path, ids))
    assert report.counts == {}
    with pytest.raises(ValueError, match=message):
        load_sample(dataset[0], semantic=True)
    check_pixel_labels(dataset, report)
    assert report.defects == {"wrong_pixels": 1}


def test_a_sound_set_passes_the_check_of_its_pixels(tmp_path):
    dataset, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path))
    report = Report("name", "source")
    check_pixel_labels(dataset, report)
    assert report.counts == {}


def test_pngs_that_are_missing_or_of_another_size_are_told(tmp_path):
    path = write_panoptic_set(tmp_path)
    Image.new("RGB", (10, 7)).save(tmp_path / "set/b.png")
    dataset, report = read(read_coco_panoptic, path)
    assert [photo.image_id for photo in dataset.photos] == [7]
    assert report.defects == {"bad_labels": 1}
    assert "b.png: 10x7, its photo b.jpg is 10x6" in report.examples["bad_labels"][0]
    (tmp_path / "set/b.png").unlink()
    _, report = read(read_coco_panoptic, path)
    assert report.defects == {"missing_labels": 1}
    assert "b.png" in report.examples["missing_labels"][0]


def test_a_png_of_another_kind_is_told(tmp_path):
    dataset, _ = read(read_coco_panoptic, write_panoptic_set(tmp_path))
    Image.new("L", (10, 6)).save(tmp_path / "set/a.png")
    with pytest.raises(ValueError, match=r"must be RGB.*a\.png of shape \(6, 10\)"):
        dataset[0].pixel_labels.semantic_map(SIZE)
    (tmp_path / "set/a.png").write_bytes(b"\x89PNG cut")
    with pytest.raises(ValueError, match=r"readable; received .*a\.png"):
        dataset[0].pixel_labels.semantic_map(SIZE)
    (tmp_path / "set/a.png").unlink()
    with pytest.raises(ValueError, match=r"must exist; received .*a\.png"):
        dataset[0].pixel_labels.semantic_map(SIZE)


def test_an_unknown_category_is_told_and_its_pixels_are_ignored(tmp_path):
    def other(contents):
        contents["annotations"][1]["segments_info"][1]["category_id"] = 99

    path = write_panoptic_set(tmp_path, change=other)
    dataset, report = read(read_coco_panoptic, path)
    assert report.defects == {"unknown_category": 1}
    example = report.examples["unknown_category"][0]
    assert example == "segment 7 of a.png: category id 99"
    assert dataset[0].pixel_labels.semantic_map(SIZE)[0, 0] == 255


def segment(contents, **changes):
    contents["annotations"][1]["segments_info"][0] |= changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: segment(c, id=0), r"1 to 16777215; received \[0\] for .*a\.png"),
        (lambda c: segment(c, id=0), r"They are in '.*set\.json'"),
        (lambda c: segment(c, id=CAT), r"different integers .* received \[7\] for"),
        (
            lambda c: c["annotations"].append(c["annotations"][0]),
            r"one annotation .*image_id=9, file_name='b\.png'.*after b\.png",
        ),
        (
            lambda c: c["categories"][0].pop("isthing"),
            "say isthing, 0 or 1.*'sky'",
        ),
        (lambda c: [k.update(isthing=1) for k in c["categories"]], "without stuff"),
        (
            lambda c: c["annotations"].append({"image_id": 7, "bbox": [0, 0, 1, 1]}),
            "must have segments_info; received .*'bbox'",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_coco_panoptic(write_panoptic_set(tmp_path, change=change))


def test_a_file_without_annotations_is_an_error(tmp_path):
    path = write_panoptic_set(tmp_path, change=lambda c: c.pop("annotations"))
    with pytest.raises(ValueError, match=r"at least one valid photo; .*set\.json"):
        read_coco_panoptic(path, report=None)


def test_photos_without_an_annotation_are_left_out(tmp_path):
    path = write_panoptic_set(tmp_path, change=lambda c: c["annotations"].pop(0))
    dataset, report = read(read_coco_panoptic, path)
    assert [photo.image_id for photo in dataset.photos] == [7]
    assert report.defects == {"not_annotated": 1}


def test_the_folder_of_the_pngs_may_be_elsewhere(tmp_path):
    path = write_panoptic_set(tmp_path)
    (tmp_path / "set").rename(tmp_path / "other")
    with pytest.raises(ValueError, match=r"no folder .*set\. Move them there"):
        read_coco_panoptic(path)
    dataset, _ = read(read_coco_panoptic, path, labels=tmp_path / "other")
    assert dataset[0].pixel_labels.semantic_map(SIZE)[0, 0] == 0


def test_a_reader_of_instances_names_the_right_one(tmp_path):
    with pytest.raises(ValueError, match="Read it with read_coco_panoptic"):
        read_coco(write_panoptic_set(tmp_path))


def test_the_sample_of_panopticapi_is_read_as_its_instances(data_folder):
    folder = data_folder / "metrics/panoptic/sample_data"
    dataset, report = read(
        read_coco_panoptic,
        folder / "panoptic_examples.json",
        images=folder / "input_images",
    )
    assert report.counts == {}
    # The same segments as COCO instances, as panopticapi converts them.
    contents = json.loads((folder / "panoptic_coco_detection_format.json").read_text())
    things = dataset.category_ids
    for photo in dataset.photos:
        expected = [
            (a["category_id"], a["area"], a["iscrowd"])
            for a in contents["annotations"]
            if a["image_id"] == photo.image_id and a["category_id"] in things
        ]
        areas = load_sample(photo, masks=True)["masks"].sum(axis=(1, 2))
        ids = [dataset.category_ids[label] for label in photo.objects.labels]
        found = zip(ids, areas, photo.objects.is_crowd, strict=True)
        assert sorted(found) == sorted(expected)
