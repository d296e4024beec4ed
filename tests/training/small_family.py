"""A small detector of every kind, and scenes that it can be trained on."""

import dataclasses
from functools import partial

import numpy as np

from keras_fpn.backbones import resnet18
from keras_fpn.data import open_dataset
from keras_fpn.data.masks import segment_mask
from keras_fpn.data.scenes import write_scenes
from keras_fpn.layers import (
    DenseHead,
    FCNMaskHead,
    FeaturePyramid,
    KeypointHead,
    MultiLevelAnchors,
    SemanticFPNHead,
)
from keras_fpn.models import (
    KeypointSet,
    MaskTargets,
    StuffSet,
    cascade_mask_rcnn_fpn,
    fcos_fpn,
    keypoint_rcnn_fpn,
    mask_rcnn_fpn,
    panoptic_fpn,
    retinanet_fpn,
    semantic_fpn,
)
from keras_fpn.preprocessing import Preprocessing

EXTREMES = KeypointSet(("top", "bottom", "left", "right"), flip_pairs=((2, 3),))


def extremes(mask):
    """Returns the middle of the first and last row and column, float (4, 3)."""
    rows, columns = np.nonzero(mask)
    points = []
    for values, others, vertical in ((rows, columns, True), (columns, rows, False)):
        for edge in (values.min(), values.max()):
            middle = np.median(others[values == edge])
            place = (middle, edge) if vertical else (edge, middle)
            points.append((place[0] + 0.5, place[1] + 0.5, 2))
    return points


def with_extremes(dataset):
    """Returns a data set whose objects have keypoints, and one class."""
    photos = []
    for photo in dataset.photos:
        objects, size = photo.objects, (photo.height, photo.width)
        keypoints = [extremes(segment_mask(one, size)) for one in objects.segments]
        objects = dataclasses.replace(
            objects, labels=np.zeros(len(objects)), keypoints=keypoints
        )
        photos.append(dataclasses.replace(photo, objects=objects))
    return dataclasses.replace(
        dataset,
        photos=tuple(photos),
        class_names=("shape",),
        category_ids=(1,),
        keypoint_names=EXTREMES.names,
        flip_pairs=EXTREMES.flip_pairs,
    )


def anchors(*octaves, levels):
    """Returns anchors whose sides are powers of 2 of a level's number and octaves."""
    sizes = {f"P{n}": tuple(2.0 ** (n + one) for one in octaves) for n in levels}
    return MultiLevelAnchors(sizes, name="anchors")


def for_two_stages():
    return {
        "anchors": anchors(2, levels=range(2, 7)),
        "mask_head": FCNMaskHead(2, 32, norm="group", name="mask_head"),
    }


def for_keypoints():
    head = KeypointHead(4, 32, name="keypoint_head")
    own = {"anchors": for_two_stages()["anchors"], "keypoint_head": head}
    return {**own, "keypoint_set": EXTREMES}


def for_one_stage():
    head = DenseHead(2, norm="biased_group", name="dense_head")
    return {"anchors": anchors(1.5, 2, levels=range(3, 8)), "dense_head": head}


def for_points():
    return {"dense_head": for_one_stage()["dense_head"]}


def for_maps():
    return {"semantic_head": SemanticFPNHead(32, name="semantic_head")}


FIRM = MaskTargets(aligned=True, threshold=0.5)
# Name -> what builds it, its small parts, what is measured, and what it must reach.
FAMILY = {
    "Mask R-CNN": (mask_rcnn_fpn, for_two_stages(), "masks", 0.6),
    "with aligned targets": (
        partial(mask_rcnn_fpn, mask_targets=FIRM),
        for_two_stages(),
        "masks",
        0.6,
    ),
    "Cascade": (cascade_mask_rcnn_fpn, for_two_stages(), "masks", 0.6),
    "Keypoint R-CNN": (keypoint_rcnn_fpn, for_keypoints(), "keypoints", 0.4),
    "RetinaNet": (retinanet_fpn, for_one_stage(), "metrics", 0.6),
    "FCOS": (fcos_fpn, for_points(), "metrics", 0.6),
    "Semantic FPN": (semantic_fpn, for_maps(), "semantic", 0.6),
    "Panoptic FPN": (panoptic_fpn, for_two_stages() | for_maps(), "panoptic", 0.5),
}


def written_scenes(folder, name, count=4):
    """Writes scenes that a detector can be trained on; returns their data set."""
    write_scenes(
        folder,
        count,
        seed=1,
        size=(128, 128),
        objects=(2, 4),
        sides=(24, None),
        stuff=FAMILY[name][0] in (semantic_fpn, panoptic_fpn),
    )
    scenes = open_dataset(folder)
    return with_extremes(scenes) if "Keypoint" in name else scenes


def detector(name, scenes):
    """Returns a small detector with random weights."""
    build, parts, *_ = FAMILY[name]
    classes = {"class_names": scenes.class_names, "category_ids": scenes.category_ids}
    if build is semantic_fpn:
        classes = {"class_names": scenes.semantic_names}
    if build is panoptic_fpn:
        classes["stuff"] = StuffSet(scenes.stuff_names, scenes.stuff_ids)
    return build(
        resnet18(norm="group", channels=16),
        preprocessing=Preprocessing(128, 128),
        neck=FeaturePyramid(32, norm="group", name="neck"),
        name="small",
        **parts,
        **classes,
    )
