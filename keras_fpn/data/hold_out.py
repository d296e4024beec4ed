"""Splits off a part of a data set for validation."""

import dataclasses
import hashlib

from keras_fpn.data.dataset import Dataset

_SHARE = 0.15
_LEAST, _MOST = 4, 1000  # photos; each costs one detection after every epoch


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Splits a data set in two: one part to train on, one to validate on.

    Held out is about one seventh of the photos, at most 1000, with and without objects
    in proportion; a photo with pixel labels counts as one with objects. The choice
    depends only on their image ids.

    Args:
        dataset: Dataset.

    Returns:
        (Dataset, Dataset): the larger part, and the part that is held out.

    Raises:
        ValueError: fewer than two photos have objects.
    """
    ranked = sorted(dataset.photos, key=_rank)
    annotated = [
        len(photo.objects) > 0 or photo.pixel_labels is not None for photo in ranked
    ]
    pairs = list(zip(ranked, annotated, strict=True))
    shown = [photo.image_id for photo, has_any in pairs if has_any]
    empty = [photo.image_id for photo, has_any in pairs if not has_any]
    if len(shown) < 2:
        raise ValueError(
            "At least 2 photos must have objects to hold some out; received "
            f"{dataset.name!r} with {len(shown)}. Pass a validation set."
        )
    wanted = min(max(round(_SHARE * len(shown)), _LEAST), _MOST)
    count = max(1, min(wanted, len(shown) // 3))
    held = {*shown[:count], *empty[: len(empty) * count // len(shown)]}
    parts = [
        tuple(photo for photo in dataset.photos if (photo.image_id in held) == kept)
        for kept in (False, True)
    ]
    larger = dataclasses.replace(dataset, photos=parts[0])
    name = f"{dataset.name}, held out"
    return larger, dataclasses.replace(dataset, photos=parts[1], name=name)


def _rank(photo):
    """Returns bytes to sort by, the same in every process."""
    return hashlib.sha256(str(photo.image_id).encode()).digest()
