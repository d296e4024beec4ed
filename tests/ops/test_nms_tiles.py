"""The portable suppression beyond one tile of candidates, and compiled by XLA."""

import numpy as np
import pytest
from on_backend import arrays, compiled, graph_of_all_sizes, outputs_of
from ops.test_nms import assert_kept, assert_padded, nms_by_loop, scene, suppressed

from keras_fpn.ops import nms
from keras_fpn.ops.nms import KeptBoxes, grouped_nms, grouped_nms_portable

TILE = nms._TILE


def grid(count):
    """`count` boxes (N, 1, 4) that do not overlap."""
    corners = 20.0 * np.stack([np.arange(count) % 50, np.arange(count) // 50], axis=1)
    return np.concatenate([corners, corners + 10], axis=1)[:, None]


def falling(count):
    """Distinct scores (N, 1) between 1 and 0.1, in falling order."""
    return np.linspace(1, 0.1, count)[:, None]


@pytest.mark.parametrize("columns", [1, 3], ids=["shared", "own"])
def test_scenes_of_all_sizes_equal_a_loop_in_one_graph(columns):
    sizes = [0, 1, 40, 220]
    shapes = (None, None, columns, 4), (None, None, 3)
    run = graph_of_all_sizes(lambda b, s: grouped_nms_portable(b, s, 0.4, 60), shapes)
    for size in sizes:
        boxes, scores = scene(size, 3, columns, images=1 + size % 2, candidates=size)
        outputs = run(boxes, scores)
        for image, kept in enumerate(zip(*outputs, strict=True)):
            expected = nms_by_loop(boxes[image], scores[image], 0.4, 60)
            assert_kept(KeptBoxes(*kept), expected)


@pytest.mark.parametrize("count", [TILE, TILE + 1, 2 * TILE])
@pytest.mark.parametrize("limit", [TILE, 3 * TILE])
def test_tiles_that_are_just_full_are_walked_to_their_end(count, limit):
    order = np.random.default_rng(count).permutation(count)
    boxes, scores = grid(count)[order], falling(count)[order]
    got = suppressed(grouped_nms_portable, boxes, scores, 0.5, limit)
    assert got.count == min(count, limit)
    best = np.argsort(-scores[:, 0])[:limit]
    np.testing.assert_array_equal(got.indices[: got.count], best)
    assert_padded(got)


def test_a_box_drops_those_of_all_later_tiles_and_no_other():
    # The first box of each tile is a copy of the very first one; the rest are apart.
    count = 3 * TILE
    boxes = grid(count)
    boxes[[TILE, 2 * TILE]] = boxes[0]
    got = suppressed(grouped_nms_portable, boxes, falling(count), 0.5, count)
    kept = np.delete(np.arange(count), [TILE, 2 * TILE])
    np.testing.assert_array_equal(got.indices[: got.count], kept)


def test_a_chain_longer_than_a_tile_loses_every_second_box():
    # Steps of 4 px: neighbors share 6 of 14 columns, next but one 2 of 18. Whether a
    # box is dropped depends on all before it.
    count = 2 * TILE + 3
    starts = 4.0 * np.arange(count)
    boxes = np.stack([starts, 0 * starts, starts + 10, 0 * starts + 10], axis=1)
    got = suppressed(grouped_nms_portable, boxes[:, None], falling(count), 0.3, count)
    np.testing.assert_array_equal(got.indices[: got.count], np.arange(0, count, 2))


def test_copies_of_one_box_over_several_tiles_leave_the_best():
    boxes = np.repeat(grid(1), 3 * TILE, axis=0)
    boxes[-1] += 500
    got = suppressed(grouped_nms_portable, boxes, falling(3 * TILE), 0.5, 10)
    np.testing.assert_array_equal(got.indices[: got.count], [0, 3 * TILE - 1])


def test_of_equal_scores_over_several_tiles_none_is_lost():
    count = 2 * TILE + 10
    got = suppressed(grouped_nms_portable, grid(count), np.ones((count, 1)), 0.5, count)
    assert sorted(got.indices) == list(range(count))


def test_empty_boxes_of_several_tiles_are_kept_and_finite():
    count = TILE + 10
    boxes = np.full((count, 1, 4), 5.0)
    got = suppressed(grouped_nms_portable, boxes, falling(count), 0.0, count)
    np.testing.assert_array_equal(got.indices, np.arange(count))
    assert all(np.isfinite(output).all() for output in got)


def test_images_that_end_early_wait_for_the_others():
    boxes = np.tile(grid(2 * TILE), (2, 1, 1, 1)).astype("float32")
    scores = np.tile(falling(2 * TILE), (2, 1, 1)).astype("float32")
    scores[0, 7:] = 0
    got = suppressed(grouped_nms_portable, boxes, scores, 0.5, TILE + 5)
    np.testing.assert_array_equal(got.count, [7, TILE + 5])
    np.testing.assert_array_equal(got.indices[0, :8], [0, 1, 2, 3, 4, 5, 6, 0])
    np.testing.assert_array_equal(got.indices[1], np.arange(TILE + 5))


def test_sorting_no_more_groups_of_a_row_than_there_are_changes_nothing():
    boxes, scores = scene(5, groups=6, columns=6, candidates=150)
    worse = np.argsort(np.argsort(scores, axis=-1), axis=-1) < 4
    scores[worse] = 0  # two groups of each row are left
    assert (scores > 0).sum(axis=-1).max() == 2

    def run(most):
        return compiled(
            lambda b, s: grouped_nms_portable(b, s, 0.4, 300, most), boxes, scores
        )

    for one, other in zip(run(2), run(None), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (run(1).scores != run(None).scores).any()  # the bound is used


def test_eager_calls_equal_compiled_ones():
    boxes, scores = scene(6, groups=2, columns=1, candidates=200)
    eager = outputs_of(lambda b, s: grouped_nms_portable(b, s, 0.4, 30), boxes, scores)
    graph = suppressed(grouped_nms_portable, boxes, scores, 0.4, 30)
    for one, other in zip(eager, graph, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.tensorflow_only
def test_xla_keeps_what_the_kernel_and_the_loop_keep():
    import tensorflow as tf

    boxes, scores = scene(7, groups=3, columns=3, candidates=200)
    run = tf.function(lambda b, s: grouped_nms(b, s, 0.4, 50), jit_compile=True)
    got = arrays(run(boxes, scores))
    native = suppressed(grouped_nms, boxes, scores, 0.4, 50)
    for one, other in zip(got, native, strict=True):
        np.testing.assert_array_equal(one, other)
    for image, kept in enumerate(zip(*got, strict=True)):
        expected = nms_by_loop(boxes[image], scores[image], 0.4, 50)
        assert_kept(KeptBoxes(*kept), expected)
