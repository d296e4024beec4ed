"""Names of pyramid levels: "C4" and "P4" are maps of level 4, stride 2^4 pixels.

Level maps are passed as dicts with such names as keys. Keras sorts the keys of a dict
alphabetically ("P10" before "P9"), so code that needs the levels in order must call
`ordered_names` and not iterate over the dict.
"""

import re
from collections.abc import Iterable

_NAME = re.compile(r"([A-Z])([1-9][0-9]*)")


def level_number(name: str):
    """Returns the level in a map's name, int: "P3" -> 3.

    Raises:
        ValueError: `name` is not one capital letter and a number above 0.
    """
    match = _NAME.fullmatch(str(name))
    if match is None:
        raise ValueError(
            "The name of a level must be a capital letter and a number, such as 'C4' "
            f"or 'P4'; received name={name!r}. Rename that map."
        )
    return int(match[2])


def ordered_names(names: Iterable[str]):
    """Returns level names from the finest to the coarsest, list of str.

    Args:
        names: level names in any order, such as a dict of maps.

    Raises:
        ValueError: there is no name, two names have the same level, or a level between
            the finest and the coarsest is missing.
    """
    names = sorted(names, key=level_number)
    numbers = [level_number(name) for name in names]
    if not numbers:
        raise ValueError(
            "A pyramid must have at least one level; received names=[]. "
            "Pass maps with names such as 'C2', 'C3', 'C4', 'C5'."
        )
    if len(set(numbers)) < len(numbers):
        raise ValueError(
            f"Each level must have one map; received names={names}. "
            "Keep one map per level."
        )
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        raise ValueError(
            f"Pyramid levels must be contiguous; received names={names}, missing "
            f"level {missing}. Add the missing maps, or remove those beyond the gap."
        )
    return names


def pyramid_name(name: str):
    """Returns the name of the pyramid map of the same level: "C3" -> "P3"."""
    return f"P{level_number(name)}"


def rows_of_map(shape, per_cell: int):
    """Returns how many predictions a level has, int; None if its size is unknown.

    Args:
        shape: (B, H, W, C) of its map, None where it is unknown.
        per_cell: predictions in each cell.
    """
    _, height, width, _ = shape
    return None if None in (height, width) else height * width * per_cell
