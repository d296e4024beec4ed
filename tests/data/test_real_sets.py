"""The real data sets, read whole, and sent through every format and back."""

import dataclasses
import json

import numpy as np
import pytest
from data.tiny_sets import read
from PIL import Image

from keras_fpn.data import (
    open_dataset,
    read_coco,
    read_label_images,
    write_coco,
    write_csv,
    write_voc,
    write_yolo,
)
from keras_fpn.data.masks import segment_mask
from keras_fpn.data.statistics import object_areas


@pytest.fixture(scope="module")
def bccd(data_folder):
    return read(open_dataset, data_folder / "bccd")


@pytest.fixture(scope="module")
def nuclei(data_folder):
    folder = data_folder / "nuclei"
    return read(read_label_images, folder / "images", folder / "labels", ["nucleus"])


def without_crowds(dataset):
    photos = [
        dataclasses.replace(photo, objects=photo.objects[~photo.objects.is_crowd])
        for photo in dataset.photos
    ]
    return dataclasses.replace(dataset, photos=tuple(photos))


def assert_same_boxes(dataset, copy, atol=0.0):
    """The same photos, boxes and names; labels may be numbered otherwise."""
    copies = {photo.path.name: photo for photo in copy.photos}
    assert len(copy) == len(copies) == len(dataset)
    for photo in dataset.photos:
        objects, again = photo.objects, copies[photo.path.name].objects
        np.testing.assert_allclose(again.boxes, objects.boxes, rtol=0, atol=atol)
        names = [dataset.class_names[label] for label in objects.labels]
        assert [copy.class_names[label] for label in again.labels] == names


def test_bccd_is_read_whole_with_its_two_degenerate_boxes(bccd):
    dataset, report = bccd
    assert (len(dataset), report.statistics.photos_without_objects) == (364, 0)
    assert dataset.class_names == ("Platelets", "RBC", "WBC")
    # 4888 boxes are in the files.
    np.testing.assert_array_equal(report.statistics.objects, [361, 4155 - 2, 372])
    assert report.counts == {"no_area": 2}
    first, second = report.examples["no_area"]
    assert "(RBC) of BloodImage_00338.xml: 504, 337, 504, 337" in first
    assert "(RBC) of BloodImage_00343.xml: 181, 329, 181, 329" in second


def test_bccds_boxes_span_photos_from_edge_to_edge(bccd):
    # 1 and 640 are its least and greatest numbers: pixels counted from 1.
    boxes = np.concatenate([photo.objects.boxes for photo in bccd[0].photos])
    np.testing.assert_array_equal(boxes.min(axis=0)[:2], [0, 0])
    np.testing.assert_array_equal(boxes.max(axis=0)[2:], [640, 480])


def test_bccds_splits_share_their_labels(data_folder, bccd):
    sizes = {}
    for split in ("train", "val", "test"):
        dataset, _ = read(open_dataset, data_folder / "bccd", split=split)
        sizes[split] = len(dataset)
        assert dataset.class_names == bccd[0].class_names
    assert sizes == {"train": 205, "val": 87, "test": 72}


def test_a_strict_check_refuses_bccd(data_folder):
    with pytest.raises(ValueError, match=r"2 objects: a box without area; left out"):
        open_dataset(data_folder / "bccd", strict=True, report=None)


def test_nuclei_have_a_mask_each(nuclei):
    dataset, report = nuclei
    assert len(dataset) == 538
    assert report.statistics.objects.sum() == 16667
    assert report.counts == {}
    for photo in dataset[::60].photos:
        labels = np.asarray(
            Image.open(photo.path.parents[1] / "labels" / photo.path.name)
        )
        objects = photo.objects
        values = np.unique(labels)[1:]
        assert len(objects) == len(values)
        for value, segment in zip(values, objects.segments, strict=True):
            mask = segment_mask(segment, labels.shape)
            np.testing.assert_array_equal(mask, labels == value)


def test_nuclei_have_the_boxes_made_by_others(data_folder, nuclei):
    boxes, _ = read(open_dataset, data_folder / "nuclei/instances.json")
    found = {photo.path.name: photo.objects for photo in nuclei[0].photos}
    different = 0
    for photo in boxes.photos:
        ours, theirs = found[photo.path.name].boxes, photo.objects.boxes
        different += (ours != theirs).any(axis=1).sum()
        assert np.abs(ours - theirs).max() <= 1
    # Two nuclei lack a pixel or two in the label images.
    assert different == 2


@pytest.mark.parametrize(
    ("split", "photos", "objects", "crowds"),
    [("train", 78, 735, 9), ("val", 47, 462, 7)],
)
def test_coco_is_read_whole(data_folder, split, photos, objects, crowds):
    dataset, report = read(open_dataset, data_folder / "coco_cc", split=split)
    assert len(dataset) == photos
    assert report.statistics.objects.sum() == objects
    assert report.statistics.crowds == crowds
    assert report.counts == {}
    assert len(dataset.class_names) == 80
    assert (dataset.category_ids[0], dataset.category_ids[-1]) == (1, 90)
    path = data_folder / f"coco_cc/instances_{split}_seg.json"
    stated = {}
    for annotation in json.loads(path.read_text())["annotations"]:
        if not annotation["iscrowd"]:
            stated.setdefault(annotation["image_id"], []).append(annotation["area"])
    for photo in dataset.photos:
        areas = object_areas(photo.objects)[~photo.objects.is_crowd]
        np.testing.assert_allclose(areas, stated.get(photo.image_id, []), rtol=1e-6)


def test_masks_go_through_coco_unchanged(nuclei, tmp_path):
    dataset = nuclei[0][::5]
    write_coco(dataset, tmp_path / "instances.json")
    again, report = read(read_coco, tmp_path / "instances.json")
    assert report.counts == {}
    assert_same_boxes(dataset, again)
    for photo, copy in zip(dataset.photos, again.photos, strict=True):
        assert copy.objects.segments == photo.objects.segments


@pytest.mark.parametrize("name", ["coco_cc", "bccd"])
def test_boxes_go_through_all_formats_and_back(data_folder, name, tmp_path):
    dataset, _ = read(open_dataset, data_folder / name, split="val")
    write_coco(dataset, tmp_path / "set.json")
    from_coco, _ = read(open_dataset, tmp_path / "set.json")
    assert_same_boxes(dataset, from_coco)
    write_voc(from_coco, tmp_path / "voc", split="all")
    from_voc, report = read(open_dataset, tmp_path / "voc", split="all")
    assert report.defects == {}
    assert_same_boxes(dataset, from_voc)
    for photo, copy in zip(dataset.photos, from_voc.photos, strict=True):
        np.testing.assert_array_equal(copy.objects.is_crowd, photo.objects.is_crowd)
    write_csv(from_voc, tmp_path / "set.csv")  # drops the crowd regions
    dataset = without_crowds(dataset)
    from_csv, report = read(open_dataset, tmp_path / "set.csv")
    assert report.defects == {}
    assert_same_boxes(dataset, from_csv)
    write_yolo(from_csv, tmp_path / "yolo")
    from_yolo, report = read(open_dataset, tmp_path / "yolo")
    assert report.defects == {}
    # Ten digits of a fraction, and float32: a step of it is 6e-5 at 640.
    assert_same_boxes(dataset, from_yolo, atol=7e-5)
