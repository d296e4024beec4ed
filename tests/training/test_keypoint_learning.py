"""Keypoint R-CNN learns the extreme points of drawn shapes by heart."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_fpn.backbones import resnet18
from keras_fpn.data import Loader, open_dataset
from keras_fpn.data.masks import segment_mask
from keras_fpn.data.scenes import write_scenes
from keras_fpn.layers import FeaturePyramid, KeypointHead, TwoFCBoxHead
from keras_fpn.metrics import evaluate_photos
from keras_fpn.models import KeypointSet, Sample, keypoint_rcnn_fpn
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


def test_the_points_are_where_the_shape_ends():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:8] = True
    expected = [[5.5, 2.5, 2], [5.5, 4.5, 2], [3.5, 3.5, 2], [7.5, 3.5, 2]]
    np.testing.assert_array_equal(extremes(mask), expected)


@pytest.mark.slow
def test_extreme_points_are_learned_by_heart(tmp_path):
    keras.utils.set_random_seed(0)
    write_scenes(tmp_path, 4, seed=1, size=(128, 128), objects=(2, 4), sides=(24, None))
    scenes = with_extremes(open_dataset(tmp_path))
    model = keypoint_rcnn_fpn(
        resnet18(norm="group", channels=16),
        preprocessing=Preprocessing(128, 128),
        neck=FeaturePyramid(32, norm="group", name="neck"),
        box_head=TwoFCBoxHead(64, name="box_head"),
        keypoint_head=KeypointHead(4, 32, name="keypoint_head"),
        keypoint_set=EXTREMES,
        roi_sample=Sample(64, 0.25),
        class_names=["shape"],
    )
    start = evaluate_photos(model, scenes).keypoints.values["AP"]
    loader = Loader(scenes, model.preprocessing, 4)
    rate = keras.optimizers.schedules.CosineDecay(0.003, 400)
    model.compile(keras.optimizers.Adam(rate))
    batches = loader.for_fit(400)
    model.fit(batches, epochs=1, steps_per_epoch=400, shuffle=False, verbose=0)
    found = evaluate_photos(model, scenes)
    print(start, found.metrics.values["AP"], found.keypoints.values)
    assert found.keypoints.values["AP"] > max(0.4, start + 0.3)
