"""Splits off a part of a data set for validation."""

import dataclasses
import hashlib
import re

from keras_fpn.data.dataset import Dataset

_SHARE = 0.15
_COPY = re.compile(r"(.+)\.rf\.[0-9a-zA-Z]+$")  # NAME.rf.HASH, as Roboflow calls it
_LEAST, _MOST = 4, 1000  # photos; each costs one detection after every epoch


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Splits a data set in two: one part to train on, one to validate on.

    Held out is about one seventh of the photos, at most 1000, with and without objects
    in proportion; a photo with pixel labels counts as one with objects. The choice
    depends only on their image ids. The augmented copies that Roboflow makes of one
    photo, NAME.rf.HASH.jpg, stay together.

    Args:
        dataset: Dataset.

    Returns:
        (Dataset, Dataset): the larger part, and the part that is held out.

    Raises:
        ValueError: fewer than two photos have objects, or all are copies of one.
    """
    groups = _groups(sorted(dataset.photos, key=_rank))
    shown = [group for group in groups if any(map(_is_annotated, group))]
    empty = [group for group in groups if not any(map(_is_annotated, group))]
    total = sum(map(len, shown))
    if len(shown) < 2:
        copies = f" (copies of {len(shown)})" if total > len(shown) else ""
        raise ValueError(
            "At least 2 photos must have objects to hold some out; received "
            f"{dataset.name!r} with {total}{copies}. Pass a validation set."
        )
    wanted = min(max(round(_SHARE * total), _LEAST), _MOST)
    count = max(1, min(wanted, total // 3))
    held = _first(shown[:-1], count)
    held |= _first(empty, sum(map(len, empty)) * count // total)
    parts = [
        tuple(photo for photo in dataset.photos if (photo.image_id in held) == kept)
        for kept in (False, True)
    ]
    larger = dataclasses.replace(dataset, photos=parts[0])
    name = f"{dataset.name}, held out"
    return larger, dataclasses.replace(dataset, photos=parts[1], name=name)


def _groups(photos):
    """Returns lists of the photos that are copies of one, in order of their first."""
    groups = {}
    for photo in photos:
        source = _COPY.match(photo.path.stem)
        key = photo.image_id if source is None else source[1]
        groups.setdefault(key, []).append(photo)
    return list(groups.values())


def _is_annotated(photo):
    return len(photo.objects) > 0 or photo.pixel_labels is not None


def _first(groups, count):
    """Returns the image ids, a set, of as few groups as have that many photos."""
    held: set[int] = set()
    for group in groups:
        if len(held) >= count:
            break
        held.update(photo.image_id for photo in group)
    return held


def _rank(photo):
    """Returns bytes to sort by, the same in every process."""
    return hashlib.sha256(str(photo.image_id).encode()).digest()
