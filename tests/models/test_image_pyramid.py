"""Detection at several scales and in mirrored photos."""

import numpy as np
import pytest
from models.tiny import two_levels

from keras_fpn.models.image_pyramid import detect_in_views
from keras_fpn.models.results import mirrored

PHOTO = np.random.default_rng(0).integers(0, 256, (80, 120, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    return two_levels()


def _same(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4, err_msg=name)


def test_one_scale_of_one_is_plain_detection(model):
    [plain] = model.detect(PHOTO)
    [found] = model.detect(PHOTO, scales=(1,))
    assert len(plain["scores"])
    _same(found, plain)


def test_a_scale_is_a_factor_of_both_sizes(model):
    own = model.preprocessing
    sizes = round(own.min_size * 0.5), round(own.max_size * 0.5)
    [expected] = model.detect(PHOTO, *sizes)
    [found] = model.detect(PHOTO, scales=(0.5,))
    _same(found, expected)


def test_a_scale_is_a_factor_of_the_given_size(model):
    [expected] = model.detect(PHOTO, min_size=64, max_size=128)
    [found] = model.detect(PHOTO, min_size=128, max_size=256, scales=[0.5])
    _same(found, expected)


def test_a_flip_adds_what_is_found_in_the_mirrored_photo(model):
    [plain] = model.detect(PHOTO)
    [other] = model.detect(np.ascontiguousarray(PHOTO[:, ::-1]))
    other = mirrored(other, PHOTO.shape[1])
    [found] = model.detect(PHOTO, flip=True)
    assert 0 < len(found["scores"]) <= model.final_part().max_detections
    candidates = np.concatenate([plain["boxes"], other["boxes"]])
    distance = np.abs(found["boxes"][:, None] - candidates).max(axis=-1)
    nearest = distance.argmin(axis=1)
    np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-3)
    assert (nearest < len(plain["boxes"])).any()
    assert (nearest >= len(plain["boxes"])).any()


def test_mirrored_results_are_those_of_the_mirrored_photo():
    found = {
        "boxes": np.array([[10, 20, 30, 50]], np.float32),
        "labels": np.array([2]),
        "scores": np.array([0.5]),
    }
    other = mirrored(found, 100)
    np.testing.assert_array_equal(other["boxes"], [[70, 20, 90, 50]])
    assert other["labels"] == [2]
    _same(mirrored(other, 100), found)


def _views(detect, **arguments):
    defaults = {
        "size": (100, 200),
        "scales": (0.5, 1.5),
        "flip": True,
        "merge": "nms",
        "iou_threshold": 0.5,
        "score_threshold": 0.1,
        "max_detections": 10,
    }
    return detect_in_views(detect, PHOTO, **{**defaults, **arguments})


def _recording(calls, boxes=()):
    def detect(photos, size, proposals):
        assert proposals is None
        calls.append((photos[0], size))
        rows = np.array(boxes, np.float32).reshape(-1, 4)
        count = len(rows)
        scores = np.linspace(0.9, 0.8, count, dtype=np.float32)
        return [{"boxes": rows, "labels": np.zeros(count, int), "scores": scores}]

    return detect


def test_each_scale_is_seen_plain_and_mirrored():
    calls = []
    found = _views(_recording(calls))
    assert [size for _, size in calls] == [(50, 100), (50, 100), (150, 300), (150, 300)]
    for index, (photo, _) in enumerate(calls):
        expected = PHOTO[:, ::-1] if index % 2 else PHOTO
        np.testing.assert_array_equal(photo, expected)
    assert found["boxes"].shape == (0, 4)


def test_boxes_of_mirrored_views_return_to_the_photo():
    found = _views(_recording([], [[0, 0, 20, 20]]), scales=(1,))
    # 120 pixels wide: the mirrored view's box is 100 to 120 in the photo.
    expected = [[0, 0, 20, 20], [100, 0, 120, 20]]
    np.testing.assert_array_equal(found["boxes"], expected)


def test_the_best_of_all_views_are_kept():
    found = _views(_recording([], [[0, 0, 20, 20], [50, 50, 60, 60]]), max_detections=3)
    assert len(found["scores"]) == 3
    assert (np.diff(found["scores"]) <= 0).all()


def test_lowered_scores_must_exceed_the_threshold():
    # Four times the same box: 0.9, then 0.9 * exp(-2) = 0.12 and less.
    detect = _recording([], [[0, 0, 120, 80]])
    found = _views(detect, merge="soft_nms", score_threshold=0.1)
    assert len(found["scores"]) == 2
    assert len(_views(detect, merge="soft_nms", score_threshold=0.2)["scores"]) == 1


@pytest.mark.parametrize("scales", [(), (0,), (1, -2), (float("nan"),), (1, np.inf), 2])
def test_scales_must_be_above_zero(model, scales):
    with pytest.raises(ValueError, match=r"scales must be numbers above 0.*received"):
        model.detect(PHOTO, scales=scales)


def test_scales_may_be_an_array(model):
    [expected] = model.detect(PHOTO, scales=(0.5, 1))
    [found] = model.detect(PHOTO, scales=np.array([0.5, 1]))
    _same(found, expected)


def test_masks_have_no_mean():
    def detect(photos, size, proposals):
        [found] = _recording([], [[0, 0, 20, 20]])(photos, size, proposals)
        return [{**found, "masks": np.ones((1, 4, 4), np.float32)}]

    assert len(_views(detect, flip=False)["masks"]) == 1
    with pytest.raises(ValueError, match="received merge='weighted_boxes'"):
        _views(detect, flip=False, merge="weighted_boxes")


def test_merge_must_be_known(model):
    with pytest.raises(ValueError, match="received merge='mean'"):
        model.detect(PHOTO, flip=True, merge="mean")
