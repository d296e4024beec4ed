"""Adapts docstrings, written to be read in the sources, to the parser of the site."""

import inspect
import re
import textwrap

import griffe

_EXAMPLE = re.compile(r"^Example:\n((?: {4}.*\n|\n)+)", re.MULTILINE)
_CALL = re.compile(r"^Call arguments:\n((?: {4}.*\n)+)", re.MULTILINE)
_ITEM = re.compile(r"^ {4}([\w*]+(?:, [\w*]+)*): (.*\n(?: {5,}.*\n)*)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Makes examples code, call arguments a list, and of "a, b: ..." two arguments."""

    def on_instance(self, *, obj, **kwargs):
        if obj.docstring is not None:
            text = inspect.cleandoc(obj.docstring.value) + "\n"
            text = _EXAMPLE.sub(_as_code, text)
            text = _CALL.sub(_as_list, text)
            obj.docstring.value = _ITEM.sub(_one_by_one, text)


def _as_code(found):
    code = textwrap.dedent(found[1]).strip("\n")
    return f"**Example:**\n\n```python\n{code}\n```\n\n"


def _as_list(found):
    items = _ITEM.findall(found[1])
    lines = [f"- **`{name}`**: {' '.join(text.split())}\n" for name, text in items]
    return f"**Call arguments:**\n\n{''.join(lines)}"


def _one_by_one(found):
    return "".join(f"    {name}: {found[2]}" for name in found[1].split(", "))
