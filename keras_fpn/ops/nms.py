"""Greedy non-maximum suppression within groups of boxes, exact, over all candidates.

A group is a set of boxes that may suppress one another: a class for detections, a
pyramid level for proposals.
"""

from typing import Any, NamedTuple

from keras import ops

from keras_fpn.boxes import box_areas, intersections, take_rows
from keras_fpn.ops.kernels import native_kernels_run

# Candidates that are compared at a time. M = 1000 kept boxes against a tile, and a tile
# against itself, are arrays of 1.2 MiB.
_TILE = 256


class KeptBoxes(NamedTuple):
    """What suppression kept, best first; M slots per image, the first `count` filled.

    Attributes:
        boxes: float32 (B, M, 4), xyxy; zeros in empty slots.
        scores: float32 (B, M); zeros in empty slots.
        groups: int32 (B, M), 0..G-1; -1 in empty slots.
        count: int32 (B,), filled slots.
        indices: int32 (B, M), 0..N-1, the candidates' rows, by which masks or keypoints
            can be gathered; 0 in empty slots. Of candidates that are equal in group,
            score and box it may be any.
    """

    boxes: Any
    scores: Any
    groups: Any
    count: Any
    indices: Any


def grouped_nms(
    boxes,
    scores,
    iou_threshold: float,
    max_outputs: int,
    max_groups_per_row: int | None = None,
) -> KeptBoxes:
    """Keeps the best boxes, dropping those that overlap a better one of their group.

    The result is that of suppression within every group over all its candidates,
    followed by taking the best `max_outputs` of all groups: no candidate is left out
    beforehand. A box is dropped if its IoU with a kept one is above (not equal to) the
    threshold. Which of two equal scores comes first is not specified.

    Source: Ren et al. 2015 (arXiv:1506.01497), Sec. 3.3; torchvision's batched_nms.

    Args:
        boxes: float32 (B, N, Q, 4), xyxy; Q = G, or 1 where all groups share the boxes.
        scores: float32 (B, N, G), probabilities; scores of 0 are not candidates.
        iou_threshold: IoU, 0..1.
        max_outputs: M, maximum number of boxes kept per image.
        max_groups_per_row: how many of a row's G scores can be above 0, so that fewer
            than N * G are sorted. At most floor(1 / t) probabilities of a softmax
            exceed a threshold t. None: all G.

    Returns:
        `KeptBoxes`.
    """
    if native_kernels_run():
        from keras_fpn.ops.nms_tensorflow import grouped_nms_tensorflow

        return grouped_nms_tensorflow(boxes, scores, iou_threshold, max_outputs)
    return grouped_nms_portable(
        boxes, scores, iou_threshold, max_outputs, max_groups_per_row
    )


def grouped_nms_portable(
    boxes, scores, iou_threshold, max_outputs, max_groups_per_row=None
):
    """`grouped_nms` in `keras.ops` alone, which XLA compiles.

    The candidates of all groups are sorted once and walked in tiles, until M boxes are
    kept or no candidate is left. A tile is compared with the boxes kept so far, then
    with itself.
    """
    batch, _, groups = ops.shape(scores)
    columns = ops.shape(boxes)[2]
    boxes = ops.reshape(boxes, (batch, -1, 4))
    # Empty slots refer to one more box, which is empty and so overlaps nothing.
    boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0)))
    none = ops.shape(boxes)[1] - 1
    order, sorted_scores = _sorted_candidates(scores, max_groups_per_row or groups)

    def lookup(candidates):
        rows = candidates if columns == groups else candidates // groups
        rows = ops.where(candidates < 0, none, rows)
        return take_rows(boxes, rows), ops.where(
            candidates < 0, -1, candidates % groups
        )

    def unfinished(tile, kept, count):
        best = ops.take(sorted_scores, tile, axis=1)[:, 0]
        return ops.any(ops.logical_and(best > 0, count < max_outputs))

    def walk(tile, kept, count):
        candidates = ops.take(order, tile, axis=1)  # (B, T)
        here = lookup(candidates)
        free = ops.take(sorted_scores, tile, axis=1) > 0
        hit = ops.any(_overlap(lookup(kept), here, iou_threshold), axis=1)
        free = ops.logical_and(free, ops.logical_not(hit))
        keep = _keep_within_tile(_overlap(here, here, iou_threshold), free)
        return tile + 1, *_append(kept, count, candidates, keep)

    # The last slot takes the candidates that are not kept.
    kept = ops.full((batch, max_outputs + 1), -1, "int32")
    start = (0, kept, ops.zeros((batch,), "int32"))
    _, kept, count = ops.while_loop(unfinished, walk, start)
    kept = kept[:, :max_outputs]
    kept_boxes, kept_groups = lookup(kept)
    filled = kept >= 0
    kept = ops.where(filled, kept, 0)
    scores = ops.reshape(ops.pad(scores, ((0, 0), (0, 1), (0, 0))), (batch, -1))
    kept_scores = ops.where(filled, ops.take_along_axis(scores, kept, axis=1), 0.0)
    return KeptBoxes(kept_boxes, kept_scores, kept_groups, count, kept // groups)


def _sorted_candidates(scores, max_groups_per_row):
    """Returns the candidates of all groups in tiles, best first.

    Returns:
        indices: int32 (B, tiles, T), of the flattened N * G scores; -1 as padding.
        scores: float32 (B, tiles, T).
    """
    batch, rows, groups = ops.shape(scores)
    count = rows * min(groups, max_groups_per_row)
    scores, order = ops.top_k(ops.reshape(scores, (batch, -1)), count)
    order = ops.where(scores > 0, ops.cast(order, "int32"), -1)
    # The last tile is empty, and ends the walk.
    tiles = (count + _TILE - 1) // _TILE + 1
    padding = ((0, 0), (0, tiles * _TILE - count))
    order = ops.pad(order, padding, constant_values=-1)
    shape = (batch, tiles, _TILE)
    return ops.reshape(order, shape), ops.reshape(ops.pad(scores, padding), shape)


def _overlap(first, second, iou_threshold):
    """Returns bool (B, S, T): the same group, and an IoU above the threshold.

    Args:
        first, second: boxes float32 (B, S, 4) and (B, T, 4), each with their groups,
            int32 (B, S) and (B, T).
    """
    (boxes, groups), (others, other_groups) = first, second
    shared = intersections(boxes[:, :, None], others[:, None])
    union = box_areas(boxes)[:, :, None] + box_areas(others)[:, None] - shared
    # Two empty boxes: 0 / 0 is not above the threshold.
    above = shared / union > iou_threshold
    return ops.logical_and(above, groups[:, :, None] == other_groups[:, None])


def _keep_within_tile(overlap, free):
    """Returns which candidates of a tile are kept, bool (B, T).

    A candidate is kept where no better one that is kept overlaps it. This is repeated
    until nothing changes: after n rounds the first n are final.

    Args:
        overlap: bool (B, T, T).
        free: bool (B, T), candidates that no box kept earlier overlaps.
    """
    better = ops.arange(_TILE)[:, None] < ops.arange(_TILE)
    overlap = ops.cast(ops.logical_and(overlap, better), "float32")

    def changed(keep, last):
        return ops.any(keep != last)

    def update(keep, last):
        hits = ops.matmul(ops.cast(keep, "float32")[:, None], overlap)[:, 0]
        return ops.logical_and(free, hits == 0), keep

    return ops.while_loop(changed, update, (free, ops.zeros_like(free)))[0]


def _append(kept, count, candidates, keep):
    """Returns `kept` and `count` with the kept candidates of a tile behind the others.

    Args:
        kept: int32 (B, M + 1); its last slot stays empty.
        count: int32 (B,), filled slots.
        candidates: int32 (B, T).
        keep: bool (B, T).
    """
    batch, size = ops.shape(kept)
    number = ops.cumsum(ops.cast(keep, "int32"), axis=1)
    slots = count[:, None] + number - 1
    slots = ops.where(keep, ops.minimum(slots, size - 1), size - 1)
    slots = slots + ops.arange(batch, dtype="int32")[:, None] * size
    kept = ops.scatter_update(
        ops.reshape(kept, (-1,)),
        ops.reshape(slots, (-1, 1)),
        ops.reshape(candidates, (-1,)),
    )
    kept = ops.where(ops.arange(size) == size - 1, -1, ops.reshape(kept, (batch, size)))
    return kept, ops.minimum(count + number[:, -1], size - 1)
