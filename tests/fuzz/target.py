"""One kind of input, and how it is read."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass
class Target:
    """One kind of input: a file, or a request or command line that is kept in one.

    Args:
        name: str, of the file below a folder.
        sound: bytes of a sound file, whose bytes are changed; or None.
        read: function of the Path of the file.
        structure: what JSON can hold, whose nodes are changed; or None.
        written: function of such a structure that returns the bytes of a file.
        share: how often it is fuzzed, compared with the others.
        is_named: whether errors must have the name of the file.
    """

    name: str
    sound: bytes | None
    read: Callable[[pathlib.Path], Any]
    structure: Any = None
    written: Callable[[Any], bytes] | None = None
    share: int = 4
    is_named: bool = True
