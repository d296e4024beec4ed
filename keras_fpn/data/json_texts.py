"""Reads the JSON of others: complete, not too deep, numbers of 64 bits."""

import json
import re

from keras_fpn.data.text_files import read_text
from keras_fpn.files import PathLike

_MOST_DIGITS = 20  # with the sign, as many as 64 bits need: no float overflows
_LONG_INTEGER = re.compile(rf"[:,\[\s]-?(\d{{{_MOST_DIGITS},}})(?=[,\]}}\s])")


def load_json(path: PathLike):
    """Returns what is in a JSON file: dicts, lists, texts, numbers, None.

    Args:
        path: str or os.PathLike.

    Raises:
        ValueError: as `read_text`; or the file is not complete JSON, is nested too
            deeply, or has an integer of more than 20 digits. The message is one line
            that names the file and the place.
    """
    text = read_text(path)
    try:
        return json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        problem = (
            f"which fails at line {error.lineno}, column {error.colno} ({error.msg}), "
            f"character {error.pos} of {len(text)}. Is it truncated?"
        )
        cause: Exception = error
    except RecursionError as error:
        problem, cause = "which is nested too deeply.", error
    except OverflowError as error:
        problem, cause = f"which {_place_of_integer(text)}", error
    raise ValueError(
        f"A JSON file must be complete JSON; received path={str(path)!r}, {problem}"
    ) from cause


def _integer(digits):
    if len(digits) > _MOST_DIGITS:
        raise OverflowError
    return int(digits)


def _place_of_integer(text):
    """Returns where the first integer of too many digits is, str."""
    found = _LONG_INTEGER.search(text)
    digits = f"an integer of more than {_MOST_DIGITS} digits"
    if found is None:  # it is within a text that only looks like one
        return f"has {digits}."
    return f"has {digits} at line {text.count(chr(10), 0, found.start(1)) + 1}."
