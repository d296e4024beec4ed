"""Which of many anchors or RoIs a training step looks at."""

from keras import ops

from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE


def sample(labels, priorities, count, positive_fraction):
    """Picks positives up to their share and fills up with negatives.

    Source: Girshick 2015 (arXiv:1504.08083), Sec. 2.3: where there are fewer positives
    than their share, negatives take their places; where there are not enough negatives,
    fewer than `count` are picked.

    Args:
        labels: int32 (B, N), from `match`.
        priorities: float32 (B, N), 0..1; the highest are picked.
        count: int, picked per image at the most.
        positive_fraction: float, 0..1, share of positives at the most.

    Returns:
        places: int32 (B, S), 0..N-1; S is `count`, or fewer where N is small.
        labels: int32 (B, S): POSITIVE first, then NEGATIVE, IGNORED in slots left over.
    """
    places, positives = _highest(
        labels == POSITIVE, priorities, int(count * positive_fraction)
    )
    negative_places, negatives = _highest(labels == NEGATIVE, priorities, count)
    first_negative = ops.shape(places)[1]
    places = ops.concatenate([places, negative_places], axis=1)
    found = ops.cast(ops.concatenate([positives, negatives], axis=1), "int32")
    taken = ops.sum(ops.cast(positives, "int32"), axis=1, keepdims=True)
    slots = ops.arange(_at_most(count, ops.shape(places)[1]))[None]
    is_positive = slots < taken
    # Negatives follow the last positive, not the last slot kept for positives.
    order = ops.where(is_positive, slots, first_negative + slots - taken)
    in_range = order < ops.shape(places)[1]
    order = ops.minimum(order, ops.shape(places)[1] - 1)
    found = ops.take_along_axis(found, order, axis=1) > 0
    found = ops.logical_and(found, in_range)
    picked = ops.where(is_positive, POSITIVE, NEGATIVE)
    labels = ops.where(found, picked, IGNORED)
    return ops.take_along_axis(places, order, axis=1), ops.cast(labels, "int32")


def _highest(candidates, priorities, count):
    """Returns places (B, k) of the candidates of highest priority, and if they are any.

    k is `count`, or N where there are fewer boxes than that.
    """
    k = _at_most(count, ops.shape(candidates)[1])
    values, places = ops.top_k(ops.where(candidates, priorities, -1.0), k)
    return ops.cast(places, "int32"), values >= 0


def _at_most(count, available):
    if isinstance(available, int):
        return min(count, available)
    return ops.minimum(count, available)
