"""What a notebook shows of an object is one short line."""

import pathlib

import numpy as np
import pytest
from data.tiny_sets import write_coco_set
from models.tiny import two_levels

import keras_fpn
from keras_fpn.data import Dataset, Objects, Photo, open_dataset
from keras_fpn.data.report import Report
from keras_fpn.data.scenes.datasets import scene_dataset
from keras_fpn.metrics import (
    Evaluation,
    Metrics,
    PanopticMetrics,
    ProposalRecall,
    SemanticMetrics,
)
from keras_fpn.report.anchor_coverage import AnchorCoverage
from keras_fpn.report.detected_photos import DetectedPhoto

VALUES = {"AP": 0.37, "AP50": 0.585, "AP75": float("nan"), "AP_small": 0.1}
PERCENT = "AP 37.0 %, AP50 58.5 %, AP75 nan %"
MANY = np.zeros((10, 101, 80))


def objects(count, **more):
    boxes = np.tile(np.float32([0, 0, 5, 5]), (count, 1))
    return Objects(boxes, np.zeros(count), np.zeros(count), **more)


def photos(*counts, name="a.png"):
    return tuple(
        Photo(number, pathlib.Path("folder", name), 48, 64, objects(count))
        for number, count in enumerate(counts, 1)
    )


def metrics(kind="bbox"):
    return Metrics(kind, VALUES, (), MANY, MANY, MANY, MANY, 5, 6, 7)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (objects(0), "<Objects: 0 boxes>"),
        (objects(1), "<Objects: 1 box>"),
        (
            objects(2, segments=[None, None], keypoints=np.zeros((2, 17, 3))),
            "<Objects: 2 boxes, masks, keypoints>",
        ),
        (photos(3)[0], "<Photo a.png: id 1, 48 x 64 pixels, 3 objects>"),
        (
            Dataset(photos(1, 2), ("cat", "dog"), (1, 2), name="pets"),
            "<Dataset 'pets': 2 photos, 3 objects, 2 classes (cat, dog)>",
        ),
        (Dataset((), (), ()), "<Dataset '': 0 photos, 0 objects, 0 classes>"),
        (
            Dataset(photos(1), "abcd", (1, 2, 3, 4), stuff_names="e", stuff_ids=(5,)),
            "<Dataset '': 1 photo, 1 object, 4 classes (a, b, c, ...), 1 of stuff>",
        ),
        (metrics("segm"), f"<Metrics of segm: {PERCENT}>"),
        (PanopticMetrics(VALUES, (), 5), f"<PanopticMetrics: {PERCENT}>"),
        (SemanticMetrics(VALUES, (), MANY, 5), f"<SemanticMetrics: {PERCENT}>"),
        (ProposalRecall(VALUES, 5, 6), f"<ProposalRecall: {PERCENT}>"),
        (
            Evaluation(Dataset((), (), (), name="d"), "m", [], [], metrics(), None),
            f"<Evaluation of 'm' on 'd': <Metrics of bbox: {PERCENT}>>",
        ),
        (
            AnchorCoverage(np.float64([0.4, 0.6]), [0, 0], [9, 9], [1, 1], ("a",)),
            "<AnchorCoverage: 2 objects, 50.0% without an anchor of IoU 0.5>",
        ),
        (
            DetectedPhoto(pathlib.Path("a.jpg"), {"boxes": MANY[0]}, pathlib.Path("b")),
            "<DetectedPhoto a.jpg: 101 boxes, picture b>",
        ),
        (
            DetectedPhoto(pathlib.Path("a.jpg"), error=ValueError("long")),
            "<DetectedPhoto a.jpg: ValueError>",
        ),
    ],
)
def test_an_object_says_what_it_is_in_one_line(made, text):
    assert repr(made) == text


def test_a_report_counts_its_defects(tmp_path):
    reports = []
    boxes = [{"bbox": [10, 20, 30, 40]}, {"bbox": [10, 20, 0, 40]}]
    write_coco_set(tmp_path, boxes)
    open_dataset(tmp_path / "set.json", report=reports.append)
    said = "<Report of 'set': 1 defect; print it to read them>"
    assert repr(reports[0]) == said
    assert repr(reports[0].statistics).startswith("<Statistics: ")
    assert "\n" not in repr(reports[0].statistics)
    assert (
        repr(Report("x", "y")) == "<Report of 'x': no defects; print it to read them>"
    )


def test_presets_say_what_was_published():
    presets = keras_fpn.list_presets()
    name = "mask_rcnn_resnet50_fpn_v2_coco"
    told = f"{name}: box AP 47.4, mask AP 41.8 on COCO val2017"
    assert repr(presets[name]) == f"<Preset {told}>"
    assert repr(presets[name].checkpoint) == f"<Checkpoint {told}>"
    shipped = presets["faster_rcnn_resnet18_fpn_scenes"].checkpoint
    assert repr(shipped).startswith("<ShippedCheckpoint faster_rcnn_resnet18_fpn_scene")


def test_the_parts_of_a_detector_are_named():
    assert repr(two_levels(2).parts) == (
        "<TwoStageParts: backbone=tiny, neck=FeaturePyramid, region=RegionBranch, "
        "box=BoxBranch>"
    )
    parts = keras_fpn.from_preset("retinanet_resnet50_fpn_coco", load_weights=False)
    assert repr(parts.parts).startswith("<RetinaNetParts: backbone=resnet50, neck=")


def test_however_much_there_is_the_line_is_short():
    long = "name\n" * 50
    many = scene_dataset(2, size=(64, 64), stuff=True)
    named = Dataset(many.photos * 500, [long] * 100, range(100), name=long)
    shown = [
        named,
        *photos(100, name=f"{'x' * 200}.png"),
        many,
        many[0],
        many[0].objects,
        *keras_fpn.list_presets().values(),
    ]
    assert [one for one in map(repr, shown) if len(one) > 160 or "\n" in one] == []
