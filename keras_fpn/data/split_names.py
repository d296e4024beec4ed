"""The usual splits of data sets, and how files and folders are named after them."""

import re

USUAL_SPLITS = ("train", "trainval", "val", "test")
_SPELLINGS = {
    "train": ("train", "training"),
    "trainval": ("trainval",),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_USUAL = {name: usual for usual, names in _SPELLINGS.items() for name in names}


def usual_split(name: str) -> str | None:
    """Returns which of `USUAL_SPLITS` a name has as a word; None for none or several.

    So instances_val2017 and valid are both "val", and train_val is "trainval".
    """
    words = re.findall("[a-z]+", name.lower())
    found = {_USUAL[word] for word in words if word in _USUAL}
    if found == {"train", "val"}:
        return "trainval"
    return found.pop() if len(found) == 1 else None


def usual_splits(names) -> list[str]:
    """Returns those of `USUAL_SPLITS` that a list of names has, in their order."""
    found = {usual_split(name) for name in names}
    return [split for split in USUAL_SPLITS if split in found]


def spellings(name: str) -> tuple[str, ...]:
    """Returns the words for the usual split in a name: val, valid, ...; () for none."""
    return _SPELLINGS.get(usual_split(name) or "", ())


def of_split(names, split: str) -> list[str]:
    """Returns those of some names that a split means.

    That is the equal name; otherwise all of the same usual split, if it is the name of
    one; otherwise all that contain it as a word.
    """
    if split in names:
        return [split]
    usual = _USUAL.get(split.lower())
    if usual is not None:
        return [name for name in names if usual_split(name) == usual]
    word = re.compile(rf"(?<![a-z]){re.escape(split)}(?![a-z])", re.I)
    return [name for name in names if word.search(name)]
