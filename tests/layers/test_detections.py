import keras
import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import outputs_of

from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import Detections
from keras_fpn.ops import nms

A = (0, 0, 10, 20)
MOST_OF_A = (0, 0, 10, 18)  # IoU with A 0.9
APART = (40, 40, 60, 60)
NOTHING = (0, 0, 0, 0)


def floats(values):
    return np.array(values, "float32")


def detected(rois, probabilities, deltas=None, sizes=((100, 100),), **options):
    """Detections of one image, or of as many as there are sizes.

    Args:
        rois: boxes, the same for all images.
        probabilities: (R, K + 1), the background's last; each row adds up to 1.
        deltas: (R, K, 4); None, zeros.
    """
    logits = np.log(np.maximum(floats(probabilities), 1e-30))
    rows, columns = logits.shape
    if deltas is None:
        deltas = np.zeros((rows, columns - 1, 4))
    inputs = [np.stack([floats(x)] * len(sizes)) for x in (logits, deltas, rois)]
    layer = Detections(**{"max_detections": 4, **options})
    found = outputs_of(layer, *inputs, floats(sizes))
    if len(sizes) > 1:
        return found
    return {name: value[0] for name, value in found.items()}


def random_inputs(batch, rois, seed):
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 60, (batch, rois, 2))
    sides = generator.uniform(10, 40, (batch, rois, 2))
    return (
        floats(generator.normal(size=(batch, rois, 4))),
        floats(generator.normal(size=(batch, rois, 3, 4))),
        floats(np.concatenate([corner, corner + sides], axis=-1)),
        floats([(80, 90), (100, 70)][:batch]),
    )


def test_keeps_what_a_layer_owes():
    check_layer(
        Detections,
        {
            "score_threshold": 0.2,
            "nms_threshold": 0.3,
            "max_detections": 6,
            "coder": BoxCoder((8.0, 9.0, 4.0, 3.0), beta=0.5),
        },
        random_inputs(2, 9, seed=0),
        ((None, None, 4), (None, None, 3, 4), (None, None, 4), (None, 2)),
        random_inputs(1, 14, seed=1),
        half="float32",
    )


def test_a_graph_may_name_its_inputs():
    names = ("class_logits", "box_deltas", "rois", "image_sizes")
    shapes = ((None, None, 4), (None, None, 3, 4), (None, None, 4), (None, 2))
    inputs = [keras.KerasTensor(shape) for shape in shapes]
    found = Detections()(**dict(zip(names, inputs, strict=True)), max_detections=7)
    assert found["boxes"].shape == (None, 7, 4)


def test_the_numbers_are_torchvisions():
    config = Detections().get_config()
    assert config["score_threshold"] == 0.05
    assert config["nms_threshold"] == 0.5
    assert config["max_detections"] == 100


def test_detections_are_best_first_with_their_classes():
    found = detected([A, APART], [[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    assert found["num_detections"] == 4
    assert_allclose(found["scores"], [0.6, 0.3, 0.2, 0.1], rtol=1e-5)
    assert_array_equal(found["labels"], [0, 1, 1, 0])
    assert_array_equal(found["boxes"], [APART, APART, A, A])


def test_the_background_is_no_detection():
    found = detected([A], [[0.06, 0.04, 0.9]])  # above 0.05 are 0.06 and the background
    assert found["num_detections"] == 1
    assert_array_equal(found["labels"], [0, -1, -1, -1])


def test_scores_are_strictly_above_the_threshold():
    # Two equal logits: the score is 0.5 exactly.
    assert detected([A], [[0.5, 0.5]], score_threshold=0.5)["num_detections"] == 0
    assert detected([A], [[0.5, 0.5]], score_threshold=0.499)["num_detections"] == 1


def test_every_class_moves_the_roi_by_its_own_weighted_deltas():
    # dx, dy are predicted 10 times, dw, dh 5 times too large: half a width to the
    # right; a quarter of the height down; twice as wide; half as high.
    log2 = 5 * np.log(2)
    deltas = [[[5, 0, 0, 0], [0, 2.5, 0, 0], [0, 0, log2, 0], [0, 0, 0, -log2]]]
    found = detected([(20, 20, 30, 40)], [[0.35, 0.25, 0.2, 0.15, 0.05]], deltas)
    expected = [(25, 20, 35, 40), (20, 25, 30, 45), (15, 20, 35, 40), (20, 25, 30, 35)]
    assert_allclose(found["boxes"], expected, rtol=1e-5)


def test_within_a_class_the_worse_of_overlapping_boxes_is_dropped():
    rois, scores = [A, MOST_OF_A], [[0.6, 0.4], [0.7, 0.3]]
    found = detected(rois, scores)
    assert_array_equal(found["boxes"], [MOST_OF_A, NOTHING, NOTHING, NOTHING])
    assert detected(rois, scores, nms_threshold=0.95)["num_detections"] == 2


def test_classes_do_not_suppress_each_other():
    found = detected([A, A], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    assert_array_equal(found["labels"], [1, 0, -1, -1])
    assert_allclose(found["scores"], [0.7, 0.6, 0, 0], rtol=1e-5)


def test_padding_rois_are_dropped_whatever_is_predicted_for_them():
    moving = np.full((2, 1, 4), 3.0)
    found = detected([NOTHING, APART], [[0.99, 0.01], [0.6, 0.4]], moving)
    assert found["num_detections"] == 1
    assert_allclose(found["scores"], [0.6, 0, 0, 0], rtol=1e-5)


@pytest.mark.parametrize(("side", "kept"), [(5e-3, 0), (0.99e-2, 0), (1e-2, 1)])
def test_boxes_narrower_than_a_hundredth_of_a_pixel_are_dropped(side, kept):
    for roi in [(0, 0, side, 10), (0, 0, 10, side)]:
        assert detected([roi], [[0.9, 0.1]])["num_detections"] == kept


def test_boxes_are_clipped_to_their_own_image():
    rois = [(-10, -5, 50, 60), (20, 90, 30, 95)]
    found = detected(
        rois, [[0.9, 0.1], [0.8, 0.2]], sizes=((100, 40), (30, 80)), max_detections=2
    )
    # Height and width: the first image is 40 wide, the second 30 high.
    assert_array_equal(found["boxes"][0], [(0, 0, 40, 60), (20, 90, 30, 95)])
    assert_array_equal(found["boxes"][1], [(0, 0, 50, 30), NOTHING])
    assert_array_equal(found["num_detections"], [2, 1])


def test_no_more_detections_than_asked_for():
    found = detected([A, APART], [[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]], max_detections=2)
    assert_allclose(found["scores"], [0.6, 0.5], rtol=1e-5)
    assert found["num_detections"] == 2


def test_all_candidates_of_all_classes_take_part():
    # 300 copies of one RoI are better, in 5 classes, than the only other object.
    rois = [A] * 300 + [APART]
    probabilities = np.full((301, 6), 0.1)
    probabilities[:300, :5] = 0.18
    probabilities[300] = (0.1, 0.1, 0.1, 0.17, 0.1, 0.43)
    found = detected(rois, probabilities, score_threshold=0.15, max_detections=8)
    assert found["num_detections"] == 6  # one of A per class, and the other
    assert_array_equal(found["boxes"][5], APART)
    assert found["labels"][5] == 3


def test_an_image_with_nothing_is_all_padding():
    found = detected([A, APART], [[0.01, 0.99], [0.02, 0.98]])
    assert not found["boxes"].any()
    assert not found["scores"].any()
    assert_array_equal(found["labels"], [-1] * 4)
    assert found["num_detections"] == 0


def test_no_rois_are_all_padding():
    found = detected(np.zeros((0, 4)), np.zeros((0, 3)))
    assert found["num_detections"] == 0
    assert_array_equal(found["labels"], [-1] * 4)


def test_types_are_those_of_the_convention():
    found = detected([A], [[0.9, 0.1]])
    types = {name: value.dtype.name for name, value in found.items()}
    assert types == {
        "boxes": "float32",
        "labels": "int32",
        "scores": "float32",
        "num_detections": "int32",
    }


def test_half_precision_predictions_give_exact_boxes():
    # 1001 is no bfloat16.
    layer = Detections(max_detections=1, dtype="mixed_bfloat16")
    found = outputs_of(
        lambda logits, deltas: layer(
            keras.ops.cast(logits, "bfloat16"),
            keras.ops.cast(deltas, "bfloat16"),
            floats([[[1001, 3, 1003, 7]]]),
            floats([[2000, 1503]]),
        ),
        floats([[[3, 0]]]),
        np.zeros((1, 1, 1, 4), "float32"),
    )
    assert found["boxes"].dtype == found["scores"].dtype == np.float32
    assert_array_equal(found["boxes"][0], [[1001, 3, 1003, 7]])


def test_logits_too_large_to_exponentiate_are_scores_too():
    layer = Detections(max_detections=1)
    found = outputs_of(
        layer,
        floats([[[1e4, -1e4]]]),
        np.zeros((1, 1, 1, 4), "float32"),
        floats([[A]]),
        floats([[100, 100]]),
    )
    assert_array_equal(found["scores"], [[1.0]])


@pytest.mark.parametrize("threshold", [0.0, 0.02, 0.25, 0.3])
def test_every_class_above_the_threshold_is_found(threshold, monkeypatch):
    # The portable form sorts no more classes of a RoI than can exceed the threshold.
    monkeypatch.setattr(nms, "native_kernels_run", lambda: False)
    count = 200
    corners = 20 * np.stack([np.arange(count) % 10, np.arange(count) // 10], axis=1)
    rois = np.concatenate([corners, corners + 10], axis=1)
    probabilities = np.tile([0.31, 0.32, 0.31, 0.03, 0.03], (count, 1))
    found = detected(
        rois,
        probabilities,
        sizes=((1000, 1000),),
        score_threshold=threshold,
        max_detections=4 * count,
    )
    above = (probabilities[:, :-1] > threshold).sum()
    assert found["num_detections"] == above
