import keras
import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import gradient, outputs_of

from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import Proposals

A = (0, 0, 10, 10)
MOST_OF_A = (0, 0, 10, 9)  # IoU with A 0.9
APART = (40, 40, 60, 60)
FAR = (70, 10, 90, 30)


def floats(values):
    return np.array(values, "float32")


def sigmoid(logits):
    return 1 / (1 + np.exp(-floats(logits)))


def proposed(
    anchors, logits, deltas=None, sizes=((100, 100),), training=False, **options
):
    """Proposals for one image, or for as many as there are sizes.

    Args:
        anchors: dict of level -> boxes.
        logits: dict of level -> logits, the same for all images.
        deltas: dict of level -> deltas; None, zeros.
    """
    images = len(sizes)
    anchors = {name: floats(boxes) for name, boxes in anchors.items()}
    if deltas is None:
        deltas = {name: np.zeros(boxes.shape) for name, boxes in anchors.items()}
    logits, deltas = (
        {name: np.stack([floats(value)] * images) for name, value in values.items()}
        for values in (logits, deltas)
    )
    layer = Proposals(**{"post_nms_top_k": 4, "pre_nms_top_k": 10, **options})
    rois, scores = outputs_of(
        lambda *inputs: layer(*inputs, training=training),
        anchors,
        logits,
        deltas,
        floats(sizes),
    )
    return (rois[0], scores[0]) if images == 1 else (rois, scores)


def random_inputs(batch, counts, seed):
    generator = np.random.default_rng(seed)
    anchors, logits, deltas = {}, {}, {}
    for name, count in counts.items():
        corner = generator.uniform(0, 60, (count, 2))
        sides = generator.uniform(10, 40, (count, 2))
        anchors[name] = floats(np.concatenate([corner, corner + sides], axis=1))
        logits[name] = floats(generator.normal(size=(batch, count)))
        deltas[name] = floats(0.1 * generator.normal(size=(batch, count, 4)))
    return anchors, logits, deltas, floats([(80, 90), (100, 70)][:batch])


def test_keeps_what_a_layer_owes():
    names = ("P9", "P10")
    check_layer(
        Proposals,
        {
            "pre_nms_top_k": 8,
            "post_nms_top_k": 6,
            "training_pre_nms_top_k": 9,
            "training_post_nms_top_k": 7,
            "nms_threshold": 0.5,
            "score_threshold": 0.3,
            "coder": BoxCoder((2.0, 3.0, 1.5, 0.5), beta=0.5),
        },
        random_inputs(2, {"P9": 12, "P10": 5}, seed=0),
        (
            dict.fromkeys(names, (None, 4)),
            dict.fromkeys(names, (None, None)),
            dict.fromkeys(names, (None, None, 4)),
            (None, 2),
        ),
        random_inputs(1, {"P9": 9, "P10": 14}, seed=1),
        half="float32",
    )


def test_the_numbers_are_torchvisions():
    config = Proposals().get_config()
    numbers = {
        name: config[name] for name in config if "_k" in name or "threshold" in name
    }
    assert numbers == {
        "pre_nms_top_k": 1000,
        "post_nms_top_k": 1000,
        "training_pre_nms_top_k": 2000,
        "training_post_nms_top_k": 2000,
        "nms_threshold": 0.7,
        "score_threshold": 0.0,
    }


def test_proposals_are_best_first_over_all_levels():
    rois, scores = proposed(
        {"P2": [A, APART], "P3": [FAR]}, {"P2": [-1, 2], "P3": [0.5]}
    )
    assert_array_equal(rois, [APART, FAR, A, (0, 0, 0, 0)])
    assert_allclose(scores, [*sigmoid([2, 0.5, -1]), 0], rtol=1e-5)


def test_anchors_are_moved_by_their_deltas():
    # Half its width to the right, half its height up, twice as high.
    deltas = {"P2": [[0, 0, 0, 0], [0.5, -0.5, 0, np.log(2)]]}
    rois, _ = proposed({"P2": [A, APART]}, {"P2": [0, 1]}, deltas)
    assert_allclose(rois[:2], [(50, 20, 70, 60), A], rtol=1e-5)


def test_every_image_has_its_own_logits_and_deltas():
    layer = Proposals(pre_nms_top_k=1, post_nms_top_k=1)
    right, down = [0.5, 0, 0, 0], [0, 0.5, 0, 0]
    rois, _ = outputs_of(
        layer,
        {"P2": floats([A, APART])},
        {"P2": floats([[1, 0], [0, 1], [1, 0]])},
        {"P2": floats([[right, down], [right, down], [down, right]])},
        floats([[100, 100]] * 3),
    )
    expected = [[(5, 0, 15, 10)], [(40, 50, 60, 70)], [(0, 5, 10, 15)]]
    assert_allclose(rois, expected, rtol=1e-5)


def test_a_level_suppresses_its_own_overlapping_boxes_only():
    anchors = {"P2": [A, MOST_OF_A], "P3": [MOST_OF_A]}
    logits = {"P2": [3, 2], "P3": [1]}
    rois, scores = proposed(anchors, logits)
    assert_array_equal(rois[:2], [A, MOST_OF_A])
    assert_allclose(scores, [*sigmoid([3, 1]), 0, 0], rtol=1e-5)
    _, scores = proposed(anchors, logits, nms_threshold=0.95)
    assert_allclose(scores, [*sigmoid([3, 2, 1]), 0], rtol=1e-5)


def test_the_best_of_every_level_are_decoded():
    anchors = {"P2": [A, APART, FAR], "P3": [A, APART, FAR]}
    logits = {"P2": [5, 6, 7], "P3": [1, 3, 2]}
    rois, scores = proposed(anchors, logits, pre_nms_top_k=1)
    assert_array_equal(rois[:2], [FAR, APART])
    assert_allclose(scores, [*sigmoid([7, 3]), 0, 0], rtol=1e-5)


def test_the_best_are_chosen_by_logits_that_sigmoid_cannot_tell_apart():
    assert keras.ops.sigmoid(30.0) == keras.ops.sigmoid(40.0)
    rois, _ = proposed({"P2": [A, APART]}, {"P2": [30, 40]}, pre_nms_top_k=1)
    assert_array_equal(rois[:2], [APART, (0, 0, 0, 0)])


def test_no_more_proposals_than_asked_for():
    rois, scores = proposed(
        {"P2": [A, APART, FAR]}, {"P2": [1, 2, 3]}, post_nms_top_k=2
    )
    assert_array_equal(rois, [FAR, APART])
    assert_allclose(scores, sigmoid([3, 2]), rtol=1e-5)


@pytest.mark.parametrize(("training", "places", "count"), [(False, 4, 2), (True, 3, 1)])
def test_training_has_its_own_counts(training, places, count):
    _, scores = proposed(
        {"P2": [A, APART, FAR]},
        {"P2": [1, 2, 3]},
        training=training,
        pre_nms_top_k=2,
        post_nms_top_k=4,
        training_pre_nms_top_k=1,
        training_post_nms_top_k=3,
    )
    assert scores.shape == (places,)
    assert np.count_nonzero(scores) == count


def test_a_level_of_fewer_anchors_than_are_decoded_is_filled_with_nothing():
    # Three of ten places of P2 and one of P3 are anchors; a box of the filling would
    # be a copy of the last anchor, which a threshold of 1 would keep.
    rois, scores = proposed(
        {"P2": [A, APART, FAR], "P3": [A]},
        {"P2": [1, 2, 3], "P3": [0]},
        nms_threshold=1.0,
        post_nms_top_k=8,
    )
    assert_array_equal(rois[:4], [FAR, APART, A, A])
    assert_allclose(scores, [*sigmoid([3, 2, 1, 0]), 0, 0, 0, 0], rtol=1e-5)


def test_training_is_off_unless_said():
    layer = Proposals(post_nms_top_k=3, training_post_nms_top_k=5)
    inputs = {"P2": floats([A])}, {"P2": floats([[0]])}, {"P2": floats([[[0] * 4]])}
    rois, _ = outputs_of(layer, *inputs, floats([[100, 100]]))
    assert rois.shape == (1, 3, 4)


def test_shape_is_known_beforehand_for_inference_and_training():
    layer = Proposals(training_post_nms_top_k=2000)
    inputs = (
        {"P2": keras.KerasTensor((30, 4))},
        {"P2": keras.KerasTensor((None, 30))},
        {"P2": keras.KerasTensor((None, 30, 4))},
        keras.KerasTensor((None, 2)),
    )
    for training, places in [(False, 1000), (True, 2000)]:
        rois, scores = layer.compute_output_spec(*inputs, training=training)
        assert (rois.shape, scores.shape) == ((None, places, 4), (None, places))


def test_boxes_are_clipped_to_their_own_image():
    anchors = {"P2": [(-10, -5, 50, 60), (20, 90, 30, 95)]}
    rois, scores = proposed(anchors, {"P2": [2, 1]}, sizes=((100, 40), (30, 80)))
    # Height and width: the first image is 40 wide, the second 30 high.
    assert_array_equal(rois[0, :2], [(0, 0, 40, 60), (20, 90, 30, 95)])
    assert_array_equal(rois[1, :2], [(0, 0, 50, 30), (0, 0, 0, 0)])
    assert_array_equal(np.count_nonzero(scores, axis=1), [2, 1])


def test_suppression_sees_the_clipped_boxes():
    # 20 of 60 px are shared; within 30 px of width they are the same box.
    anchors = {"P2": [(-30, 0, 30, 30), (10 - 40, 0, 90, 30)]}
    _, scores = proposed(anchors, {"P2": [2, 1]}, sizes=((30, 30),))
    assert np.count_nonzero(scores) == 1


@pytest.mark.parametrize(
    ("side", "kept"), [(0.0, 0), (5e-4, 0), (0.99e-3, 0), (1e-3, 1), (1.0, 1)]
)
def test_boxes_narrower_than_a_thousandth_of_a_pixel_are_dropped(side, kept):
    for anchor in [(0, 0, side, 10), (0, 0, 10, side)]:
        _, scores = proposed({"P2": [anchor]}, {"P2": [1]})
        assert np.count_nonzero(scores) == kept


def test_scores_below_the_threshold_are_dropped_and_those_at_it_kept():
    anchors = {"P2": [A, APART, FAR]}
    rois, scores = proposed(anchors, {"P2": [0, -1e-3, 1]}, score_threshold=0.5)
    assert_array_equal(rois, [FAR, A, (0, 0, 0, 0), (0, 0, 0, 0)])
    assert_allclose(scores, [*sigmoid([1, 0]), 0, 0], rtol=1e-5)


def test_an_image_without_valid_pixels_has_no_proposals():
    rois, scores = proposed({"P2": [A, APART]}, {"P2": [5, 6]}, sizes=((0, 0),))
    assert not rois.any()
    assert not scores.any()


def test_an_empty_image_leaves_the_rest_of_the_batch_alone():
    rois, scores = proposed(
        {"P2": [A, APART]}, {"P2": [5, 6]}, sizes=((0, 0), (100, 100))
    )
    assert not scores[0].any()
    assert_array_equal(rois[1, :2], [APART, A])


def test_proposals_have_no_gradient():
    anchors = {"P2": floats([A, APART])}
    layer = Proposals(pre_nms_top_k=2, post_nms_top_k=2)

    def coordinates(deltas):
        rois, scores = layer(
            anchors, {"P2": deltas[..., 0]}, {"P2": deltas}, floats([[100, 100]])
        )
        return keras.ops.sum(rois) + keras.ops.sum(scores)

    assert not gradient(coordinates, np.full((1, 2, 4), 0.1, "float32")).any()


def test_half_precision_predictions_give_exact_boxes():
    # 1001 is no bfloat16.
    layer = Proposals(1, 1, dtype="mixed_bfloat16")
    rois, scores = outputs_of(
        lambda logits, deltas: layer(
            {"P2": floats([[1001, 3, 1003, 7]])},
            {"P2": keras.ops.cast(logits, "bfloat16")},
            {"P2": keras.ops.cast(deltas, "bfloat16")},
            floats([[2000, 1503]]),
        ),
        floats([[0]]),
        np.zeros((1, 1, 4), "float32"),
    )
    assert rois.dtype == scores.dtype == np.float32
    assert_array_equal(rois[0], [[1001, 3, 1003, 7]])


def test_a_gap_in_levels_is_refused():
    with pytest.raises(ValueError, match=r"missing level \[3\]"):
        proposed({"P2": [A], "P4": [A]}, {"P2": [1], "P4": [1]})
