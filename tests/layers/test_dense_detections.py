import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import compiled, outputs_of
from plain_loops import iou_by_loop

from keras_fpn.box_coder import BoxCoder, GIoUCoder
from keras_fpn.layers import DenseDetections

A = (0, 0, 10, 10)
MOST_OF_A = (0, 0, 10, 9)  # IoU with A 0.9
APART = (40, 40, 60, 60)
NOTHING = (0, 0, 0, 0)


def floats(values):
    return np.array(values, "float32")


def logits_of(scores):
    scores = np.asarray(scores, "float64")
    return np.log(scores / (1 - scores))


def detected(anchors, scores, deltas=None, size=(100, 100), **options):
    """Detections for one image.

    Args:
        anchors: dict of level -> boxes.
        scores: dict of level -> probabilities (N_l, K).
        deltas: dict of level -> deltas; None, zeros.
    """
    layer = DenseDetections(**{"max_detections": 4, "pre_nms_top_k": 10, **options})
    anchors = {name: floats(boxes) for name, boxes in anchors.items()}
    logits = {name: floats([logits_of(s)]) for name, s in scores.items()}
    if deltas is None:
        deltas = {name: np.zeros(boxes.shape) for name, boxes in anchors.items()}
    deltas = {name: floats([value]) for name, value in deltas.items()}
    found = outputs_of(layer, anchors, logits, deltas, floats([size]))
    return {name: value[0] for name, value in found.items()}


def random_inputs(batch, counts, seed, classes=3):
    generator = np.random.default_rng(seed)
    anchors, logits, deltas = {}, {}, {}
    for name, count in counts.items():
        corner = generator.uniform(0, 60, (count, 2))
        sides = generator.uniform(10, 40, (count, 2))
        anchors[name] = floats(np.concatenate([corner, corner + sides], axis=1))
        logits[name] = floats(generator.normal(0, 2, (batch, count, classes)))
        deltas[name] = floats(generator.normal(0, 0.3, (batch, count, 4)))
    sizes = floats(generator.uniform(60, 90, (batch, 2)))
    return anchors, logits, deltas, sizes


def test_keeps_what_a_layer_owes():
    names = ("P3", "P4")
    check_layer(
        DenseDetections,
        {
            "score_threshold": 0.2,
            "nms_threshold": 0.4,
            "max_detections": 6,
            "pre_nms_top_k": 7,
            "coder": GIoUCoder((2.0, 3.0, 4.0, 5.0)),
            "clip_first": False,
        },
        random_inputs(2, {"P3": 9, "P4": 5}, seed=0),
        (
            dict.fromkeys(names, (None, 4)),
            dict.fromkeys(names, (None, None, 3)),
            dict.fromkeys(names, (None, None, 4)),
            (None, 2),
        ),
        random_inputs(1, {"P3": 12, "P4": 7}, seed=1),
        half="float32",
    )


def test_the_numbers_are_torchvisions():
    config = DenseDetections().get_config()
    assert config["score_threshold"] == 0.05
    assert config["nms_threshold"] == 0.5
    assert config["max_detections"] == 300
    assert config["pre_nms_top_k"] == 1000


def by_loop(anchors, logits, deltas, sizes, layer):
    """Yields the detections of each image as rows (score, label, x1, y1, x2, y2)."""
    coder, k = layer.coder, layer.pre_nms_top_k
    for image, (height, width) in enumerate(sizes):
        candidates = []
        for name in anchors:
            pairs = []
            boxes = np.asarray(coder.decode(deltas[name][image], anchors[name]))
            for row, label in np.ndindex(logits[name][image].shape):
                score = 1 / (1 + np.exp(-logits[name][image, row, label]))
                if score > layer.score_threshold:
                    pairs.append((score, label, *boxes[row]))
            candidates += sorted(pairs, reverse=True)[:k]
        kept = []
        for score, label, x1, y1, x2, y2 in sorted(candidates, reverse=True):
            box = np.array([x1, y1, x2, y2])
            if layer.clip_first:
                box = np.clip(box, 0, [width, height, width, height])
            if all(
                other[1] != label or iou_by_loop(box, other[2:]) <= layer.nms_threshold
                for other in kept
            ):
                kept.append((score, label, *box))
        rows = np.array(kept[: layer.max_detections])
        rows[:, 2:] = np.clip(rows[:, 2:], 0, [width, height, width, height])
        if not layer.clip_first:
            rows = rows[(rows[:, 4] > rows[:, 2]) & (rows[:, 5] > rows[:, 3])]
        yield rows


@pytest.mark.parametrize("clip_first", [True, False])
@pytest.mark.parametrize("k", [4, 1000])
def test_it_equals_a_plain_loop(clip_first, k):
    inputs = random_inputs(2, {"P3": 40, "P4": 11}, seed=3)
    inputs = (*inputs[:3], floats([[50, 45], [70, 30]]))  # many reach beyond
    layer = DenseDetections(
        0.3, max_detections=20, pre_nms_top_k=k, clip_first=clip_first
    )
    found = outputs_of(layer, *inputs)
    for image, rows in enumerate(by_loop(*inputs, layer)):
        count = found["num_detections"][image]
        assert count == len(rows) > 3
        assert_allclose(found["scores"][image, :count], rows[:, 0], rtol=1e-5)
        assert_array_equal(found["labels"][image, :count], rows[:, 1])
        assert_allclose(found["boxes"][image, :count], rows[:, 2:], atol=1e-4)
        assert (found["labels"][image, count:] == -1).all()
        assert (found["boxes"][image, count:] == 0).all()
        assert (found["scores"][image, count:] == 0).all()


def test_a_class_is_suppressed_over_all_levels_and_others_are_not():
    found = detected(
        {"P3": [A, APART], "P4": [MOST_OF_A]},
        {"P3": [[0.9, 0.01], [0.02, 0.3]], "P4": [[0.8, 0.7]]},
    )
    assert found["num_detections"] == 3
    assert_array_equal(found["boxes"], [A, MOST_OF_A, APART, NOTHING])
    assert_array_equal(found["labels"], [0, 1, 1, -1])
    assert_allclose(found["scores"], [0.9, 0.7, 0.3, 0], rtol=1e-5)


def test_scores_are_strictly_above_the_threshold():
    anchors, scores = {"P3": [A, APART]}, {"P3": [[0.5], [0.5]]}  # logits of 0: exact
    assert detected(anchors, scores, score_threshold=0.5)["num_detections"] == 0
    assert detected(anchors, scores, score_threshold=0.499)["num_detections"] == 2


def test_equal_scores_at_the_end_of_a_levels_best_are_cut_to_their_number():
    # Three pairs of anchor and class are equal; there is room for the best and two.
    boxes = [(20 * n, 0, 20 * n + 10, 10) for n in range(4)]
    scores = [[0.5, 0.1], [0.5, 0.1], [0.9, 0.1], [0.1, 0.5]]
    found = detected({"P3": boxes}, {"P3": scores}, pre_nms_top_k=3)
    assert found["num_detections"] == 3
    assert_allclose(found["scores"], [0.9, 0.5, 0.5, 0], rtol=1e-5)
    for box, label in zip(found["boxes"][1:3], found["labels"][1:3], strict=True):
        assert scores[int(box[0]) // 20][label] == 0.5
    assert not np.array_equal(found["boxes"][1], found["boxes"][2])


def test_several_classes_of_one_anchor_can_be_among_the_best():
    # The two best pairs belong to the first anchor.
    scores = {"P3": [[0.9, 0.8, 0.1], [0.7, 0.1, 0.1]]}
    found = detected({"P3": [A, APART]}, scores, pre_nms_top_k=2)
    assert_array_equal(found["labels"], [0, 1, -1, -1])


def test_each_level_has_its_own_best():
    found = detected(
        {"P3": [A, APART], "P4": [(70, 70, 90, 90)]},
        {"P3": [[0.9], [0.8]], "P4": [[0.3]]},
        pre_nms_top_k=1,
    )
    assert_allclose(found["scores"], [0.9, 0.3, 0, 0], rtol=1e-5)


def test_deltas_move_the_anchor_of_their_row():
    found = detected(
        {"P3": [A, (20, 20, 30, 40)]},
        {"P3": [[0.01], [0.9]]},
        {"P3": [[9, 9, 9, 9], [1.0, 0.5, 0, 0]]},
        coder=BoxCoder((2.0, 1.0, 1.0, 1.0)),
    )
    assert_allclose(found["boxes"][0], (25, 30, 35, 50), rtol=1e-6)


def test_boxes_beyond_the_image_are_clipped_before_or_after_they_suppress():
    # Clipped to a width of 10 both are A; before, their IoU is 1/3.
    boxes = {"P3": [(0, 0, 20, 10), (-10, 0, 10, 10)]}
    scores = {"P3": [[0.9], [0.8]]}
    first = detected(boxes, scores, size=(10, 10))
    assert_array_equal(first["boxes"], [A, NOTHING, NOTHING, NOTHING])
    last = detected(boxes, scores, size=(10, 10), clip_first=False)
    assert_array_equal(last["boxes"], [A, A, NOTHING, NOTHING])


def test_boxes_that_clipping_leaves_empty_are_dropped_after_the_best_are_taken():
    boxes = {"P3": [(20, 0, 30, 10), A, (0, 5, 5, 9)]}
    scores = {"P3": [[0.9], [0.8], [0.7]]}
    options = {"size": (10, 10), "max_detections": 2, "clip_first": False}
    found = detected(boxes, scores, **options)
    assert found["num_detections"] == 1
    assert_array_equal(found["boxes"], [A, NOTHING])
    assert_allclose(found["scores"], [0.8, 0], rtol=1e-5)
    assert_array_equal(found["labels"], [0, -1])


def test_nothing_above_the_threshold_is_no_detection():
    found = detected({"P3": [A, APART]}, {"P3": [[0.01, 0.02], [0.04, 0.05]]})
    assert found["num_detections"] == 0
    assert_array_equal(found["labels"], -1)


def test_limits_of_a_call_replace_the_layers_own():
    inputs = random_inputs(1, {"P3": 12}, seed=5)
    layer = DenseDetections(0.9, max_detections=2)

    def loose(*inputs):
        return layer(*inputs, score_threshold=0.1, max_detections=9)

    assert compiled(loose, *inputs)["scores"].shape == (1, 9)
    assert compiled(loose, *inputs)["num_detections"] > 2


@pytest.mark.tensorflow_only
def test_xla_compiles_it():
    import tensorflow as tf

    inputs = random_inputs(2, {"P3": 40, "P4": 11}, seed=3)
    layer = DenseDetections(0.3, max_detections=20, pre_nms_top_k=15)
    expected = outputs_of(layer, *inputs)
    tensors = tf.nest.map_structure(tf.constant, inputs)
    found = tf.function(layer, jit_compile=True)(*tensors)
    for name, value in expected.items():
        assert_allclose(found[name], value, rtol=1e-5, atol=1e-4)
