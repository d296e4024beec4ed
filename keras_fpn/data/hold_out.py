"""Keeps a part of a data set back, to measure on."""

import dataclasses
import hashlib

_SHARE = 0.15
_LEAST, _MOST = 4, 1000  # photos; each costs a detection after every epoch


def hold_out(dataset):
    """Parts a data set in two: what is trained on, and what is held out to measure on.

    Held out is about a seventh of the photos, but few if there are few: of those with
    objects and of those without alike. Which ones is a function of their image ids.

    Args:
        dataset: Dataset.

    Returns:
        (Dataset, Dataset): the larger part, and the one held out.

    Raises:
        ValueError: fewer than two photos have objects.
    """
    ranked = sorted(dataset.photos, key=_rank)
    shown = [photo.image_id for photo in ranked if len(photo.objects)]
    empty = [photo.image_id for photo in ranked if not len(photo.objects)]
    if len(shown) < 2:
        raise ValueError(
            "To hold out photos at least 2 must have objects; received the data set "
            f"{dataset.name!r} with {len(shown)}. Name others to measure on."
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
