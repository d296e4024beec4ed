"""Gives the photos of a data set proposals: boxes in which objects may be."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from keras_fpn.data.dataset import Dataset
from keras_fpn.models.given_proposals import takes_proposals
from keras_fpn.preprocessing import checked_proposals

_NAMED = 5  # photos that an error lists


def with_proposals(dataset: Dataset, proposals: Mapping, limit: int = 1000) -> Dataset:
    """Returns a data set whose photos have proposals, the best of each.

    Every photo must be among the proposals, if only with no box. Images that are not in
    the data set are ignored, because a file may be of more than one split. Boxes are
    clipped to their photo, and those without an area are left out.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        proposals: dict of image id -> (boxes, scores): float (n, 4), xyxy, pixels of
            the photo, and float (n,), higher is better; see `read_proposals`.
        limit: int, proposals that are kept of each photo.

    Raises:
        ValueError: a photo has no entry, or boxes that cannot be of it: in a wrong
            form, not finite, with swapped corners or more than a pixel outside; or
            `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1; received limit={limit}.")
    without = [photo for photo in dataset.photos if photo.image_id not in proposals]
    if without:
        names = [f"{p.path.name} (image id {p.image_id})" for p in without[:_NAMED]]
        raise ValueError(
            f"Each photo of {dataset.name!r} must have proposals; received proposals "
            f"of {len(proposals)} images without {len(without)} of the {len(dataset)} "
            f"photos: {', '.join(names)}{', ...' if len(without) > _NAMED else ''}. "
            "Leave those photos out, or give them an entry without boxes."
        )
    photos = [_with_best(p, proposals[p.image_id], limit) for p in dataset.photos]
    return dataclasses.replace(dataset, photos=tuple(photos))


def most_proposals(dataset: Dataset) -> int | None:
    """Returns the largest number of proposals of a photo, at least 1.

    It is None for a data set without proposals.

    Raises:
        ValueError: only some photos have proposals.
    """
    given = [p.proposals for p in dataset.photos if p.proposals is not None]
    if not given:
        return None
    if len(given) < len(dataset):
        bare = [photo for photo in dataset.photos if photo.proposals is None]
        raise ValueError(
            f"All photos must have proposals, or none; received {len(bare)} without, "
            f"such as {bare[0].path}. Give them with keras_fpn.data.with_proposals."
        )
    return max(1, *map(len, given))


def check_proposals(model, dataset: Dataset):
    """Raises an error unless a data set has proposals exactly if a detector takes them.

    Args:
        model: `keras_fpn.models.Detector`.
        dataset: `keras_fpn.data.Dataset`.
    """
    takes = takes_proposals(model)
    if takes and not dataset.has_proposals:
        raise ValueError(
            f"Photos must have proposals for a {type(model).__name__}; received "
            f"{dataset.name!r} without. Give them with keras_fpn.data.with_proposals, "
            "or name their file with --proposals (--val-proposals for validation)."
        )
    if dataset.has_proposals and not takes:
        raise ValueError(
            f"Photos must have no proposals for a {type(model).__name__}, which makes "
            f"its own; received {dataset.name!r} with proposals. Leave them out, or "
            "use a detector that takes them, such as keras_fpn.models.FastRCNN."
        )


def _with_best(photo, proposals, limit):
    """Returns the photo with its best proposals; an error names it."""
    boxes, scores = map(np.asarray, proposals)
    try:
        if scores.shape != boxes.shape[:1] or not np.isfinite(scores).all():
            raise ValueError(
                "Proposals must have one finite score each; received boxes of shape "
                f"{boxes.shape} and scores of shape {scores.shape}."
            )
        best = np.argsort(-scores, kind="stable")[:limit]
        boxes = checked_proposals(boxes[best], (photo.height, photo.width))
    except ValueError as error:
        name = f"{photo.path} (image id {photo.image_id})"
        raise ValueError(f"{name}: {error}") from error
    return dataclasses.replace(photo, proposals=boxes)
