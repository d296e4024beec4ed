"""Checks of the arguments of augmentations."""

import math
import numbers


def check_share(**shares):
    """Raises for numbers outside 0..1; the error has their names."""
    for name, share in shares.items():
        if not (_is_number(share) and 0 <= share <= 1):
            raise ValueError(
                f"{name} must be a number from 0 to 1; received {name}={share!r}."
            )


def checked_range(name, values, least, most):
    """Returns a range as a tuple of 2 floats.

    Args:
        name: str, of the argument, for the error.
        values: low and high, least <= low <= high <= most.
        least, most: float, allowed limits.

    Raises:
        ValueError: values are not two numbers, not ascending or outside the limits.
    """
    pair = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    numeric = len(pair) == 2 and all(_is_number(value) for value in pair)
    if not (numeric and least <= pair[0] <= pair[1] <= most):
        raise ValueError(
            f"{name} must be two numbers, low and high, with {least} <= low <= high "
            f"<= {most}; received {name}={values!r}."
        )
    return float(pair[0]), float(pair[1])


def _is_number(value):
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    return math.isfinite(value)
