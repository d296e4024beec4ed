import keras
import numpy as np
import pytest
from on_backend import compiled
from plain_loops import iou_by_loop

from keras_fpn.ops.nms import KeptBoxes, grouped_nms, grouped_nms_portable

# On other backends than TensorFlow the portable form is the one that is chosen.
BOTH = keras.config.backend() == "tensorflow"
FORMS = pytest.mark.parametrize("form", [grouped_nms, grouped_nms_portable][: 1 + BOTH])

A = (0, 0, 10, 10)
HALF_OF_A = (0, 0, 10, 5)  # IoU with A: 50 / (100 + 50 - 50) = 0.5
APART = (20, 20, 30, 30)


def suppressed(form, boxes, scores, iou_threshold, max_outputs):
    """Returns `KeptBoxes`; of one image if the input is one."""
    boxes, scores = np.array(boxes, "float32"), np.array(scores, "float32")
    single = scores.ndim == 2
    if single:
        boxes, scores = boxes[None], scores[None]
    outputs = compiled(
        lambda b, s: form(b, s, iou_threshold, max_outputs), boxes, scores
    )
    return KeptBoxes(*(output[0] for output in outputs)) if single else outputs


def column(*boxes):
    """Boxes (N, 1, 4) that all groups share."""
    return [[box] for box in boxes]


def nms_by_loop(boxes, scores, iou_threshold, max_outputs):
    """One image: a list of (score, group, box, row), best first."""
    found = []
    for group in range(scores.shape[1]):
        column = group if boxes.shape[1] > 1 else 0
        kept = []
        for row in np.argsort(-scores[:, group], kind="stable"):
            box = boxes[row, column]
            ious = (iou_by_loop(box, better) for better in kept)
            if scores[row, group] > 0 and all(iou <= iou_threshold for iou in ious):
                kept.append(box)
                found.append((scores[row, group], group, tuple(box), row))
    return sorted(found, key=lambda entry: -entry[0])[:max_outputs]


def assert_equals_loop(form, boxes, scores, iou_threshold, max_outputs):
    outputs = suppressed(form, boxes, scores, iou_threshold, max_outputs)
    for image, kept in enumerate(zip(*outputs, strict=True)):
        expected = nms_by_loop(boxes[image], scores[image], iou_threshold, max_outputs)
        assert_kept(KeptBoxes(*kept), expected)


def assert_kept(got, expected):
    """The result of one image is what `nms_by_loop` found in it."""
    assert got.count == len(expected)
    scores, groups, boxes, rows = (
        zip(*expected, strict=True) if expected else ((), (), np.zeros((0, 4)), ())
    )
    np.testing.assert_array_equal(got.scores[: got.count], scores)
    np.testing.assert_array_equal(got.groups[: got.count], groups)
    np.testing.assert_array_equal(got.boxes[: got.count], boxes)
    np.testing.assert_array_equal(got.indices[: got.count], rows)
    assert_padded(got)


def assert_padded(got):
    assert not got.boxes[got.count :].any()
    assert not got.scores[got.count :].any()
    assert (got.groups[got.count :] == -1).all()
    assert not got.indices[got.count :].any()


def scene(seed, groups, columns, images=2, candidates=40):
    """Crowded boxes (B, N, Q, 4) and distinct scores (B, N, G), a third of them 0."""
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 50, (images, candidates, columns, 2))
    sides = generator.uniform(5, 30, (images, candidates, columns, 2))
    boxes = np.concatenate([corner, corner + sides], axis=-1).astype("float32")
    count = images * candidates * groups
    scores = generator.permutation(count).astype("float32") / count
    scores = scores.reshape(images, candidates, groups)
    return boxes, np.where(scores < 1 / 3, 0, scores)


@FORMS
def test_a_worse_box_is_dropped_where_it_overlaps_a_better_one(form):
    boxes = column(APART, HALF_OF_A, A)
    scores = [[0.6], [0.7], [0.9]]
    got = suppressed(form, boxes, scores, 0.4, 3)
    np.testing.assert_array_equal(got[0], [A, APART, (0, 0, 0, 0)])
    np.testing.assert_array_equal(got[1], np.array([0.9, 0.6, 0], "float32"))
    np.testing.assert_array_equal(got[2], [0, 0, -1])
    assert got[3] == 2
    np.testing.assert_array_equal(got.indices, [2, 0, 0])
    assert {name: output.dtype for name, output in got._asdict().items()} == {
        "boxes": "float32",
        "scores": "float32",
        "groups": "int32",
        "count": "int32",
        "indices": "int32",
    }


@FORMS
def test_overlap_equal_to_the_threshold_is_kept(form):
    boxes, scores = column(A, HALF_OF_A), [[0.9], [0.7]]
    assert suppressed(form, boxes, scores, 0.5, 3)[3] == 2
    assert suppressed(form, boxes, scores, 0.499, 3)[3] == 1


@FORMS
def test_a_dropped_box_drops_no_other(form):
    # 4 px steps: neighbors share 6 of 14 columns (0.43), next but one 2 of 18 (0.11).
    chain = column((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))
    got = suppressed(form, chain, [[0.9], [0.8], [0.7]], 0.3, 3)
    np.testing.assert_array_equal(got[0][:2], [chain[0][0], chain[2][0]])
    assert got[3] == 2


@FORMS
def test_groups_do_not_suppress_each_other(form):
    scores = [[0.9, 0.0, 0.5], [0.7, 0.8, 0.0]]
    got = suppressed(form, column(A, A), scores, 0.5, 4)
    np.testing.assert_array_equal(got[1], np.array([0.9, 0.8, 0.5, 0], "float32"))
    np.testing.assert_array_equal(got[2], [0, 1, 2, -1])


@FORMS
def test_each_group_may_have_its_own_boxes(form):
    # In group 0 the two overlap, in group 1 they do not.
    boxes = [[A, A], [HALF_OF_A, APART]]
    got = suppressed(form, boxes, [[0.9, 0.8], [0.7, 0.6]], 0.4, 4)
    np.testing.assert_array_equal(got[0][:3], [A, A, APART])
    np.testing.assert_array_equal(got[2], [0, 1, 1, -1])


@FORMS
def test_shared_boxes_equal_repeated_ones(form):
    boxes, scores = scene(0, groups=3, columns=1)
    shared = suppressed(form, boxes, scores, 0.3, 30)
    repeated = suppressed(form, np.repeat(boxes, 3, axis=2), scores, 0.3, 30)
    for one, other in zip(shared, repeated, strict=True):
        np.testing.assert_array_equal(one, other)


@FORMS
@pytest.mark.parametrize(
    ("groups", "columns", "iou_threshold", "max_outputs"),
    [(1, 1, 0.3, 50), (3, 1, 0.3, 25), (3, 3, 0.5, 200), (4, 4, 0.1, 7), (2, 1, 0, 9)],
)
def test_crowded_scenes_equal_a_loop(form, groups, columns, iou_threshold, max_outputs):
    boxes, scores = scene(1, groups, columns)
    assert_equals_loop(form, boxes, scores, iou_threshold, max_outputs)


@FORMS
def test_images_of_a_batch_do_not_touch_each_other(form):
    boxes, scores = scene(2, groups=2, columns=1, images=3)
    scores[1] = 0  # nothing in the second
    scores[2, 5:] = 0  # little in the third
    assert_equals_loop(form, boxes, scores, 0.3, 20)
    alone = suppressed(form, boxes[2:], scores[2:], 0.3, 20)
    together = suppressed(form, boxes, scores, 0.3, 20)
    for one, many in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], many[2])


@FORMS
def test_no_candidate_gives_nothing(form):
    got = suppressed(form, column(A, APART), [[0, 0], [0, 0]], 0.5, 3)
    assert got[3] == 0
    assert_padded(got)


@FORMS
def test_the_best_of_all_groups_are_kept(form):
    boxes = column(A, APART, (40, 40, 50, 50))
    scores = [[0.5, 0.1], [0.4, 0.6], [0.2, 0.3]]
    got = suppressed(form, boxes, scores, 0.5, 3)
    np.testing.assert_array_equal(got[1], np.array([0.6, 0.5, 0.4], "float32"))
    np.testing.assert_array_equal(got[2], [1, 0, 0])
    assert got[3] == 3


@FORMS
def test_no_box_is_left_out_before_suppression(form):
    # 200 copies of the best box stand before the only other one.
    boxes = column(*[A] * 200, APART)
    scores = [[0.9 - 0.001 * rank] for rank in range(200)] + [[0.1]]
    got = suppressed(form, boxes, scores, 0.5, 2)
    np.testing.assert_array_equal(got[0], [A, APART])


@FORMS
def test_more_slots_than_boxes_are_padding(form):
    got = suppressed(form, column(A), [[0.9]], 0.5, 5)
    assert got[0].shape == (5, 4)
    assert got[3] == 1
    assert_padded(got)


@FORMS
def test_of_equal_boxes_with_equal_scores_one_is_kept(form):
    got = suppressed(form, column(A, APART, A, A), [[0.5]] * 4, 0.5, 4)
    assert got[3] == 2
    assert {tuple(box) for box in got[0][:2]} == {A, APART}


@FORMS
def test_equal_scores_apart_are_all_kept(form):
    boxes = column(A, APART, (40, 40, 50, 50))
    got = suppressed(form, boxes, [[0.5, 0.5]] * 3, 0.5, 10)
    assert got[3] == 6
    found = {(group, *box) for group, box in zip(got[2][:6], got[0][:6], strict=True)}
    assert found == {(group, *box[0]) for group in (0, 1) for box in boxes}


@FORMS
def test_threshold_one_keeps_copies_and_zero_keeps_neighbors(form):
    assert suppressed(form, column(A, A), [[0.9], [0.8]], 1.0, 3)[3] == 2
    touching = column(A, (10, 0, 20, 10), (9, 0, 12, 10))
    got = suppressed(form, touching, [[0.9], [0.8], [0.7]], 0.0, 3)
    np.testing.assert_array_equal(got[0][:2], [A, (10, 0, 20, 10)])
    assert got[3] == 2


@FORMS
def test_empty_boxes_overlap_nothing(form):
    point = (5, 5, 5, 5)
    got = suppressed(form, column(A, point, point), [[0.9], [0.8], [0.7]], 0.3, 3)
    assert got[3] == 3


@FORMS
def test_order_of_candidates_does_not_matter(form):
    boxes, scores = scene(3, groups=2, columns=2)
    order = np.random.default_rng(4).permutation(boxes.shape[1])
    one = suppressed(form, boxes, scores, 0.3, 25)
    other = suppressed(form, boxes[:, order], scores[:, order], 0.3, 25)
    for first, second in zip(one[:4], other[:4], strict=True):
        np.testing.assert_array_equal(first, second)
    filled = np.arange(25) < one.count[:, None]
    np.testing.assert_array_equal(one.indices[filled], order[other.indices][filled])


@FORMS
def test_no_rows_at_all_give_nothing(form):
    got = suppressed(form, np.zeros((2, 0, 1, 4)), np.zeros((2, 0, 3)), 0.5, 4)
    for kept in map(KeptBoxes._make, zip(*got, strict=True)):
        assert kept.count == 0
        assert_padded(kept)
