import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_array_equal
from on_backend import compiled, gradient, graph_of_all_sizes, outputs_of
from plain_loops import iou_by_loop

from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE, match

RPN, ROI = (0.3, 0.7), (0.5, 0.5)  # the thresholds of Faster R-CNN

# A ground truth of 10 x 10 and boxes in it, so that IoU is their share of its area.
GT = (0, 0, 10, 10)
APART = (50, 50, 60, 60)


def share(tenths):
    """A box within GT of so many tenths of it."""
    return (0, 0, 10, tenths)


def matched(boxes, gt_boxes, thresholds=RPN, low=False, valid=None, crowd=None):
    """Labels and matches of one image.

    Args:
        boxes, gt_boxes: lists of boxes.
        valid, crowd: lists of places in gt_boxes; None, all are valid, none a crowd.
    """
    count = len(gt_boxes)
    flags = [
        np.isin(np.arange(count), range(count) if chosen is None else chosen)[None]
        for chosen in (valid, () if crowd is None else crowd)
    ]
    labels, matches = outputs_of(
        lambda *inputs: match(*inputs, thresholds, low),
        np.array(boxes, "float32").reshape(1, -1, 4),
        np.array(gt_boxes, "float32").reshape(1, -1, 4),
        *flags,
    )
    assert labels.dtype == matches.dtype == np.int32
    return labels[0], matches[0]


def match_by_loop(boxes, gt_boxes, valid, crowd, thresholds, low):
    """Labels and matches of one image, one pair at a time, in float32."""
    lower, upper = np.float32(thresholds)
    labels, matches = np.full(len(boxes), IGNORED), np.zeros(len(boxes), int)
    sides = gt_boxes[:, 2:] - gt_boxes[:, :2]
    targets = [g for g in range(len(gt_boxes)) if valid[g] and not crowd[g]]
    targets = [g for g in targets if sides[g].prod() > 0]
    for place, box in enumerate(boxes):
        best = np.float32(-1)
        for g in targets:
            iou = iou_by_loop(gt_boxes[g], box)
            if iou > best:  # the first of equal ones
                best, matches[place] = iou, g
        if best < lower:
            labels[place] = NEGATIVE
            for g in np.flatnonzero(valid & crowd):
                if share_inside(box, gt_boxes[g]) >= 0.5:
                    labels[place] = IGNORED
        if best >= upper:
            labels[place] = POSITIVE
    for g in targets if low else ():
        ious = np.array([iou_by_loop(gt_boxes[g], box) for box in boxes])
        if ious.max(initial=0) > 0:
            labels[ious == ious.max()] = POSITIVE
    return labels, matches


def share_inside(box, region):
    low, high = np.maximum(box[:2], region[:2]), np.minimum(box[2:], region[2:])
    area = np.prod(box[2:] - box[:2])
    return np.maximum(high - low, 0).prod() / area if area > 0 else 0


def scene(seed, images=3, count=60, gt_count=7):
    """Boxes of few whole sizes on a coarse grid, so that many IoUs are equal."""
    generator = np.random.default_rng(seed)

    def drawn(*shape):
        corner = generator.integers(0, 6, (*shape, 2)) * 4
        sides = generator.choice([0, 4, 8, 12], (*shape, 2), p=[0.04, 0.32, 0.32, 0.32])
        return np.concatenate([corner, corner + sides], axis=-1).astype("float32")

    valid = generator.uniform(size=(images, gt_count)) < 0.8
    crowd = generator.uniform(size=(images, gt_count)) < 0.2
    return drawn(images, count), drawn(images, gt_count), valid, crowd


def test_labels_are_those_that_checkpoints_and_samplers_know():
    assert (POSITIVE, NEGATIVE, IGNORED) == (1, 0, -1)


def test_between_the_thresholds_a_box_is_neither():
    expected = {
        0: NEGATIVE,  # an empty box
        2: NEGATIVE,
        3: IGNORED,  # at the lower threshold: no longer negative
        5: IGNORED,
        6: IGNORED,
        7: POSITIVE,  # at the upper threshold
        10: POSITIVE,
    }
    labels, matches = matched([share(tenths) for tenths in expected], [GT])
    assert dict(zip(expected, labels, strict=True)) == expected
    assert not matches.any()


def test_with_one_threshold_nothing_is_ignored():
    labels, _ = matched([share(4.999), share(5)], [GT], ROI)
    assert_array_equal(labels, [NEGATIVE, POSITIVE])


def test_a_box_stands_for_the_ground_truth_it_overlaps_most():
    # Of share(8), share(6) covers 6/8, GT 8/10; APART has a match of its own.
    labels, matches = matched([share(8), APART, share(6)], [share(6), GT, APART])
    assert_array_equal(matches, [1, 2, 0])
    assert_array_equal(labels, [POSITIVE] * 3)


def test_of_equally_good_ground_truths_the_first_is_taken():
    # As torchvision's Matcher. The two halves of the box have IoU 1/2 each.
    halves = [APART, (0, 0, 10, 5), (0, 5, 10, 10)]
    assert_array_equal(matched([GT], halves)[1], [1])
    assert_array_equal(matched([GT], [GT, GT])[1], [0])


def test_low_quality_makes_all_the_best_boxes_of_a_ground_truth_positive():
    # IoU 0.2, 0.2, 0.1: two are equally good, the third is not; the upper threshold
    # is reached by none.
    boxes = [(0, 0, 10, 2), (0, 8, 10, 10), (0, 0, 10, 1), APART]
    labels, _ = matched(boxes, [GT], low=True)
    assert_array_equal(labels, [POSITIVE, POSITIVE, NEGATIVE, NEGATIVE])
    labels, _ = matched(boxes, [GT])
    assert_array_equal(labels, [NEGATIVE] * 4)


def test_a_low_quality_match_stands_for_what_it_overlaps_most_itself():
    # The only box near the small ground truth (IoU 4 / 50) covers half of GT: it is
    # positive for the sake of the small one and stands for GT, as in torchvision.
    small = (0, 0, 2, 2)
    labels, matches = matched([share(5), (20, 0, 30, 10)], [small, GT], low=True)
    assert_array_equal(labels, [POSITIVE, NEGATIVE])
    assert_array_equal(matches, [1, 0])


def test_low_quality_needs_an_overlap():
    labels, _ = matched([(20, 0, 30, 10), (10, 0, 20, 10)], [GT], low=True)
    assert_array_equal(labels, [NEGATIVE] * 2)


def test_padding_and_empty_ground_truth_match_nothing():
    empty = (2, 2, 2, 8)
    labels, matches = matched([GT, APART], [GT, empty, APART], valid=[1, 2], low=True)
    assert_array_equal(labels, [NEGATIVE, POSITIVE])
    assert_array_equal(matches[1:], [2])


def test_an_image_without_ground_truth_is_all_negative():
    labels, matches = matched([GT, APART], [GT, GT], valid=[], low=True)
    assert_array_equal(labels, [NEGATIVE, NEGATIVE])
    assert_array_equal(matches, [0, 0])


@pytest.mark.parametrize("low", [False, True])
def test_no_boxes_have_no_labels(low):
    labels, matches = matched([], [GT], low=low)
    assert labels.shape == matches.shape == (0,)


def test_a_negative_at_least_half_in_a_crowd_is_ignored():
    crowd = (0, 0, 100, 100)
    boxes = [
        (95, 0, 105, 10),  # half inside
        (95.1, 0, 105.1, 10),  # 4.9 of 10 columns
        (10, 10, 20, 20),  # inside, of a hundredth of the crowd's area
        (200, 0, 210, 10),
        (50, 50, 50, 50),  # empty: half of nothing is nothing
        crowd,  # matches nothing, though IoU is 1
    ]
    labels, _ = matched(boxes, [crowd], crowd=[0], low=True)
    ignored, negative = IGNORED, NEGATIVE
    expected = [ignored, negative, ignored, negative, negative, ignored]
    assert_array_equal(labels, expected)


def test_crowds_leave_positives_and_other_matches_alone():
    labels, matches = matched(
        [GT, share(5), (0, 0, 9, 2)], [(0, 0, 30, 30), GT], crowd=[0], low=True
    )
    assert_array_equal(labels, [POSITIVE, IGNORED, IGNORED])
    assert_array_equal(matches, [1, 1, 1])


def test_a_box_must_be_half_in_one_crowd_not_in_several_together():
    crowds = [(0, 0, 10, 4), (0, 6, 10, 10)]  # 4 and 4 of 10 rows
    assert_array_equal(matched([GT], crowds, crowd=[0, 1])[0], [NEGATIVE])


def test_crowds_that_are_padding_ignore_nothing():
    assert_array_equal(matched([GT], [GT], valid=[], crowd=[0])[0], [NEGATIVE])


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("thresholds", [RPN, ROI])
def test_crowded_images_equal_a_loop(thresholds, low):
    inputs = scene(0)
    got = compiled(lambda *inputs: match(*inputs, thresholds, low), *inputs)
    images = zip(*inputs, strict=True)
    expected = [match_by_loop(*image, thresholds, low) for image in images]
    expected_labels, expected_matches = map(np.stack, zip(*expected, strict=True))
    assert set(expected_labels.ravel()) == {POSITIVE, NEGATIVE, IGNORED}
    assert len(set(expected_matches.ravel())) > 3
    assert_array_equal(got[0], expected_labels)
    assert_array_equal(got[1], expected_matches)


def test_anchors_are_shared_by_all_images():
    boxes, *truth = scene(1)
    shared = compiled(lambda *x: match(*x, RPN, True), boxes[:1], *truth)
    repeated = np.repeat(boxes[:1], 3, axis=0)
    expected = compiled(lambda *x: match(*x, RPN, True), repeated, *truth)
    assert len({row.tobytes() for row in shared[0]}) == 3
    for got, wanted in zip(shared, expected, strict=True):
        assert_array_equal(got, wanted)


def test_one_graph_serves_all_numbers_of_images_boxes_and_ground_truth():
    def labels(boxes, gt_boxes, valid, crowd):
        return match(boxes, gt_boxes, valid > 0, crowd > 0, RPN, True)

    shapes = [(None, None, 4), (None, None, 4), (None, None), (None, None)]
    run = graph_of_all_sizes(labels, shapes)
    for sizes in ((2, 9, 3), (1, 40, 1), (3, 5, 2)):
        inputs = scene(2, *sizes)
        got = run(*[value.astype("float32") for value in inputs])
        for image in range(sizes[0]):
            alone = [value[image] for value in inputs]
            expected = match_by_loop(*alone, RPN, True)
            assert_array_equal(got[0][image], expected[0])
            assert_array_equal(got[1][image], expected[1])


def test_a_box_that_is_no_number_is_negative_and_disturbs_no_other():
    labels, _ = matched([[np.nan] * 4, GT], [GT], ROI)
    assert_array_equal(labels, [NEGATIVE, POSITIVE])


def test_labels_have_no_gradient():
    _, gt_boxes, valid, crowd = scene(3, images=1, count=4)

    def labels(boxes):
        found, _ = match(boxes, gt_boxes, valid, crowd, ROI, True)
        return ops.cast(found, "float32") + 0.0 * ops.sum(boxes)

    assert not gradient(labels, np.ones((1, 4, 4), "float32")).any()


def sizes_within(graph_or_jaxpr):
    """Numbers of elements of all values computed in a graph, in its loops too."""
    if keras.backend.backend() == "jax":
        for equation in graph_or_jaxpr.eqns:
            for value in equation.outvars:
                yield int(np.prod(value.aval.shape))
            for inner in keras.tree.flatten(list(equation.params.values())):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from sizes_within(inner)
        return
    functions = graph_or_jaxpr._functions.values()
    for graph in (graph_or_jaxpr, *(function.graph for function in functions)):
        for operation in graph.get_operations():
            for value in operation.outputs:
                if value.shape.is_fully_defined():
                    yield value.shape.num_elements()


def test_no_pairs_of_all_boxes_and_all_ground_truth_are_held():
    inputs = scene(4, images=2, count=50, gt_count=7)

    def labels(*inputs):
        return match(*inputs, RPN, True)

    if keras.backend.backend() == "jax":
        import jax

        traced = jax.make_jaxpr(labels)(*inputs).jaxpr
    else:
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(value) for value in inputs]
        traced = tf.function(labels).get_concrete_function(*tensors).graph
    sizes = list(sizes_within(traced))
    assert sizes.count(2 * 50) > 10  # the loop was looked into
    assert max(sizes) <= 2 * 50 * 4  # the boxes themselves, not 2 x 7 x 50 pairs


def test_low_quality_matches_are_made_where_asked_for():
    boxes = np.array([[share(2)]], "float32")
    gt_boxes, flags = np.array([[GT]], "float32"), np.array([[True]])
    labels, _ = outputs_of(lambda *x: match(*x, RPN), boxes, gt_boxes, flags, ~flags)
    assert labels == [[NEGATIVE]]


def test_tiny_objects_are_objects_and_tiny_overlaps_are_overlaps():
    tiny = (0, 0, 0.5, 0.5)  # IoU 0.25 / 100 with GT
    assert_array_equal(matched([GT], [tiny], low=True)[0], [POSITIVE])
    assert_array_equal(matched([tiny], [GT], crowd=[0])[0], [IGNORED])


def test_an_empty_ground_truth_is_never_the_best():
    # IoU is 0 with both; what cannot be found must not be taken for the first.
    assert_array_equal(matched([APART], [(2, 2, 2, 8), GT])[1], [1])
