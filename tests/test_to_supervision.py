"""Results as objects of supervision, drawn, filtered and tracked by supervision."""

import sys
import warnings

import numpy as np
import pytest

from keras_fpn.data.segments import mask_segment
from keras_fpn.to_supervision import to_detections, to_key_points

with warnings.catch_warnings():
    # It says that it would be faster with OpenCV.
    warnings.filterwarnings("ignore", "OpenCV", UserWarning)
    import supervision as sv

NAMES = ("cat", "dog")
SIZE = (60, 80)


def found(count=2, **more):
    boxes = [[10, 5, 50, 45], [30.5, 20, 70, 55.25]][:count]
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": np.array([1, 0][:count], np.int32),
        "scores": np.array([0.9, 0.6][:count], np.float32),
        **more,
    }


def masks():
    full = np.zeros((2, *SIZE), bool)
    full[0, 10:20, 15:40] = True
    full[1, 30:50, 40:60] = True
    return full


def points():
    return np.array(
        [[[20, 10, 8.5], [30, 20, -1]], [[40, 30, 2], [60, 50, 0.5]]], np.float32
    )


def assert_holds(detections):
    assert detections.xyxy.tolist() == [[10, 5, 50, 45], [30.5, 20, 70, 55.25]]
    assert detections.class_id.tolist() == [1, 0]
    np.testing.assert_allclose(detections.confidence, [0.9, 0.6])
    assert detections.data["class_name"].tolist() == ["dog", "cat"]


def test_objects_have_boxes_scores_labels_and_names():
    detections = to_detections(found(), NAMES)
    assert isinstance(detections, sv.Detections)
    assert_holds(detections)
    assert detections.mask is None
    assert detections.xyxy.dtype == detections.confidence.dtype == np.float32


def test_they_are_filtered_as_supervision_does_it():
    detections = to_detections(found(masks=masks()), NAMES)
    dogs = detections[detections["class_name"] == "dog"]
    assert dogs.xyxy.tolist() == [[10, 5, 50, 45]]
    assert dogs.mask.shape == (1, *SIZE)
    assert len(detections[detections.confidence > 0.95]) == 0


def test_masks_are_of_the_photos_size():
    run_lengths = [mask_segment(mask) for mask in masks()]
    for given in (masks(), run_lengths):
        detections = to_detections(found(masks=given), NAMES)
        assert_holds(detections)
        assert detections.mask.dtype == bool
        np.testing.assert_array_equal(detections.mask, masks())


def test_crops_of_masks_are_refused():
    crops = {"masks": np.zeros((2, 28, 28)), "mask_windows": found()["boxes"]}
    with pytest.raises(ValueError, match=r"received crops.*masks='rle'"):
        to_detections(found(**crops), NAMES)


@pytest.mark.parametrize("more", [{}, {"masks": []}, {"masks": masks()[:0]}])
def test_nothing_found_is_empty(more):
    detections = to_detections(found(0, **more), NAMES)
    assert detections.is_empty()
    assert len(detections) == 0
    assert detections.data["class_name"].tolist() == []
    picture = np.full((*SIZE, 3), 90, np.uint8)
    drawn = sv.BoxAnnotator().annotate(picture.copy(), detections)
    np.testing.assert_array_equal(drawn, picture)
    both = sv.Detections.merge([detections, to_detections(found(), NAMES)])
    assert_holds(both)


def test_annotators_draw_them():
    picture = np.full((*SIZE, 3), 90, np.uint8)
    detections = to_detections(found(masks=masks()), NAMES)
    boxed = sv.BoxAnnotator(thickness=2).annotate(picture.copy(), detections)
    changed = (boxed != picture).any(axis=2)
    assert changed[5:7, 12:48].all()  # the upper side of the first box
    assert not changed[10:18, 15:28].any()  # inside it
    tinted = sv.MaskAnnotator().annotate(picture.copy(), detections)
    np.testing.assert_array_equal((tinted != picture).any(axis=2), masks().any(axis=0))
    labeled = sv.LabelAnnotator().annotate(picture.copy(), detections)
    assert (labeled != picture).any()


def test_a_zone_counts_them():
    corners = np.array([[0, 0], [35, 0], [35, 60], [0, 60]])
    zone = sv.PolygonZone(corners, triggering_anchors=(sv.Position.CENTER,))
    # The centers are at x = 30 and 50.25.
    assert zone.trigger(to_detections(found(), NAMES)).tolist() == [True, False]


def test_keypoints_have_their_scores_and_objects():
    keypoints = to_key_points(found(keypoints=points()), NAMES)
    assert isinstance(keypoints, sv.KeyPoints)
    np.testing.assert_array_equal(keypoints.xy, points()[..., :2])
    np.testing.assert_array_equal(keypoints.keypoint_confidence, points()[..., 2])
    np.testing.assert_allclose(keypoints.detection_confidence, [0.9, 0.6])
    assert keypoints.class_id.tolist() == [1, 0]
    assert keypoints.data["class_name"].tolist() == ["dog", "cat"]
    assert keypoints.visible is None


def test_keypoints_below_the_threshold_are_not_drawn():
    keypoints = to_key_points(found(keypoints=points()), NAMES, threshold=1.0)
    assert keypoints.visible.tolist() == [[True, False], [True, False]]
    picture = np.full((*SIZE, 3), 90, np.uint8)
    drawn = sv.VertexAnnotator(radius=2).annotate(picture.copy(), keypoints)
    changed = (drawn != picture).any(axis=2)
    assert [changed[y, x] for x, y in ((20, 10), (30, 20), (40, 30), (60, 50))] == [
        True,
        False,
        True,
        False,
    ]


def test_no_keypoints_of_no_objects():
    empty = found(0, keypoints=np.zeros((0, 17, 3), np.float32))
    keypoints = to_key_points(empty, NAMES)
    assert len(keypoints) == 0
    assert keypoints.xy.shape == (0, 17, 2)
    picture = np.full((*SIZE, 3), 90, np.uint8)
    drawn = sv.VertexAnnotator().annotate(picture.copy(), keypoints)
    np.testing.assert_array_equal(drawn, picture)


def test_what_is_not_there_is_named():
    maps = {"semantic_map": np.zeros(SIZE, np.uint8)}
    with pytest.raises(ValueError, match=r"have boxes; .*\['semantic_map'\]"):
        to_detections(maps, NAMES)
    with pytest.raises(ValueError, match=r"have keypoints; .*'boxes', 'labels', 'sc"):
        to_key_points(found(), NAMES)
    with pytest.raises(ValueError, match=r"received labels \[1\]"):
        to_detections(found(), ("cat",))


def test_without_supervision_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    message = r"needs supervision, .*pip install \"keras-fpn\[video\]\""
    for function in (to_detections, to_key_points):
        with pytest.raises(ImportError, match=message):
            function(found(keypoints=points()), NAMES)
