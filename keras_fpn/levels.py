"""Names of pyramid levels: "C4" and "P4" are maps of level 4, stride 2^4 pixels.

Level maps travel as dicts keyed by such names. Keras hands them on in lexicographic
order ("P10" before "P9"), so order comes from here, never from iteration.
"""

import re

_NAME = re.compile(r"([A-Z])([1-9][0-9]*)")


def level_number(name):
    """Returns the level of a map's name: "P3" -> 3.

    Raises:
        ValueError: `name` is not one capital letter and a number.
    """
    match = _NAME.fullmatch(str(name))
    if match is None:
        raise ValueError(
            "A level's name must be a capital letter and its level, such as 'C4' "
            f"or 'P4'; received name={name!r}. Rename that map."
        )
    return int(match[2])


def ordered_names(names):
    """Returns the names from the finest to the coarsest level.

    Args:
        names: iterable of str, level names in any order.

    Raises:
        ValueError: no name, two names of one level, or a level missing in between.
    """
    names = sorted(names, key=level_number)
    numbers = [level_number(name) for name in names]
    if not numbers:
        raise ValueError(
            "A pyramid must have at least one level; received names=[]. "
            "Give maps named such as 'C2', 'C3', 'C4', 'C5'."
        )
    if len(set(numbers)) < len(numbers):
        raise ValueError(
            f"Every level must have one map; received names={names}. "
            "Keep one map per level."
        )
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        raise ValueError(
            f"Pyramid levels must be contiguous; received names={names}, missing "
            f"level {missing}. Add the missing maps or leave out those beyond the gap."
        )
    return names


def pyramid_name(name):
    """Returns the pyramid's name of a level: "C3" -> "P3"."""
    return f"P{level_number(name)}"
