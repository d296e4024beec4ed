"""Samples the anchors or RoIs that take part in the loss of a training step."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_fpn.chance import random_priorities
from keras_fpn.config import Config
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class Sample(Config):
    """Samples the boxes of each image that take part in the loss.

    Args:
        count: int >= 1, maximum number of boxes per image.
        positive_fraction: float, 0..1, maximum share of positives among them.

    Call arguments:
        labels: int32 (B, N), from `match`.
        image_ids: int (B,).
        seed: int, of the random numbers.
        step: int scalar tensor, the training step.
        purpose: int, a different one for each use within a step; see
            `random_priorities`.

    Returns:
        indices, labels: int32 (B, S), as returned by `sample`.

    Raises:
        ValueError: `count` is below 1, or `positive_fraction` is not within 0..1.
    """

    count: int
    positive_fraction: float

    def __post_init__(self):
        if self.count < 1 or not 0.0 <= self.positive_fraction <= 1.0:
            raise ValueError(
                "count must be at least 1 and positive_fraction within 0..1; received "
                f"count={self.count}, positive_fraction={self.positive_fraction}."
            )

    def divisor(self, sampled, image_weights):
        """Returns the number by which sums of losses are divided, float32 scalar.

        It is the number of sampled boxes.

        Args:
            sampled: float32 (B, S), weight of each sampled box, 0 in unfilled slots.
            image_weights: float32 (B,).
        """
        return ops.sum(sampled)

    @property
    def max_positives(self):
        """int, maximum number of positives per image; they come first."""
        return int(self.count * self.positive_fraction)

    def __call__(self, labels, image_ids, seed: int, step, purpose: int):
        boxes = ops.shape(labels)[1]
        priorities = random_priorities(seed, step, image_ids, boxes, purpose)
        return sample(labels, priorities, self.count, self.positive_fraction)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class FullSample(Sample):
    """A `Sample` whose losses are divided by `count` for each image.

    They are so even if an image has fewer boxes than `count`. Source: detectron2's RPN.
    """

    def divisor(self, sampled, image_weights):
        return self.count * ops.sum(image_weights)


def sample(labels, priorities, count: int, positive_fraction: float):
    """Picks positives up to their maximum share, then negatives for the other slots.

    If there are too few negatives, fewer than `count` boxes are picked.

    Source: Girshick 2015 (arXiv:1504.08083), Sec. 2.3.

    Args:
        labels: int32 (B, N), from `match`.
        priorities: float32 (B, N), 0..1; the boxes with the highest are picked.
        count: int, maximum number of picked boxes per image.
        positive_fraction: float, 0..1, maximum share of positives.

    Returns:
        indices: int32 (B, S), 0..N-1; S is `count`, or less if N is small.
        labels: int32 (B, S), POSITIVE first, then NEGATIVE, then IGNORED in slots that
            no box fills.
    """
    indices, positives = _highest(
        labels == POSITIVE, priorities, int(count * positive_fraction)
    )
    negative_indices, negatives = _highest(labels == NEGATIVE, priorities, count)
    first_negative = ops.shape(indices)[1]
    indices = ops.concatenate([indices, negative_indices], axis=1)
    found = ops.cast(ops.concatenate([positives, negatives], axis=1), "int32")
    taken = ops.sum(ops.cast(positives, "int32"), axis=1, keepdims=True)
    slots = ops.arange(_at_most(count, ops.shape(indices)[1]))[None]
    is_positive = slots < taken
    # Negatives follow the last positive, not the last slot reserved for positives.
    order = ops.where(is_positive, slots, first_negative + slots - taken)
    in_range = order < ops.shape(indices)[1]
    order = ops.minimum(order, ops.shape(indices)[1] - 1)
    found = ops.take_along_axis(found, order, axis=1) > 0
    found = ops.logical_and(found, in_range)
    picked = ops.where(is_positive, POSITIVE, NEGATIVE)
    labels = ops.where(found, picked, IGNORED)
    return ops.take_along_axis(indices, order, axis=1), ops.cast(labels, "int32")


def _highest(candidates, priorities, count):
    """Returns indices by decreasing priority, and which are candidates, each (B, k).

    k is `count`, or N if there are fewer boxes: `ops.top_k` raises for a larger k.
    """
    k = _at_most(count, ops.shape(candidates)[1])
    values, indices = ops.top_k(ops.where(candidates, priorities, -1.0), k)
    return ops.cast(indices, "int32"), values >= 0


def _at_most(count, available):
    if isinstance(available, int):
        return min(count, available)
    return ops.minimum(count, available)
