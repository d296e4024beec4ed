"""Reads the few entries of a YOLO data.yaml that describe a data set.

A reader of this one file, not of YAML: it knows scalars, lists and one-level maps at
the top level, skips entries that nobody asks for, and refuses what it does not know
rather than guess. (YAML proper would also turn a class named "no" into False.)
"""

import json
import re

_ENTRY = re.compile(r"""("[^"]*"|'[^']*'|[^\s#'"\[{][^#]*?)\s*:(?:\s+(.*))?$""")
_ITEM = re.compile(r"-(?:\s+(.*))?$")
_NULLS = ("", "~", "null", "Null", "NULL")
_BRACKETS = {"[": "]", "{": "}"}


def read_entries(text, keys, path):
    """Returns the wanted entries of a data.yaml.

    Args:
        text: str, the file's content.
        keys: names of the entries.
        path: str or Path, for messages.

    Returns:
        dict of the entries that are there and not null: str, list of str, or dict of
        str -> str, list of str or None.

    Raises:
        ValueError: a wanted entry is in a form that is not known here, or there twice.
    """
    entries = {}
    for key, lines in _blocks(text).items():
        if key not in keys:
            continue
        try:
            value = _value(lines)
        except _UnknownForm as error:
            raise ValueError(
                "An entry of data.yaml must be a text, a list or a map of names, in "
                f"plain YAML; received {key}: {' / '.join(lines)[:80]!r} in "
                f"path={str(path)!r}: {error}. Write it as [a, b] or as lines '- a'."
            ) from error
        if value is not None:
            entries[key] = value
    return entries


class _UnknownForm(Exception):
    """Text that this reader does not know."""


def _blocks(text):
    """Returns the top-level entries: dict of key -> list of lines, without comments.

    The first line is what follows the key's colon, the others keep their indentation.
    """
    blocks, current = {}, []
    for line in text.splitlines():
        line = _without_comment(line).rstrip()
        if not line or line in ("---", "...") or line.startswith("%"):
            continue
        top = _ENTRY.match(line) if line[0] not in " \t-]}" else None
        if top:
            current = [top[2] or ""]
            blocks[top[1].strip("\"'")] = current
        else:
            current.append(line)
    return blocks


def _unquoted(text):
    """Yields place and letter of a text's letters that do not stand in quotes.

    A quote opens at the start of a scalar only: that of "it's" is an apostrophe.
    """
    quote, skip = "", False
    for place, letter in enumerate(text):
        if skip:
            skip = False
        elif quote:
            doubled = quote == "'" and text[place : place + 2] == "''"
            skip = doubled or (quote == '"' and letter == "\\")
            quote = "" if letter == quote and not skip else quote
        elif letter in "\"'" and re.search(r"(^|[\[{,]|[:-] )\s*$", text[:place]):
            quote = letter
        else:
            yield place, letter


def _without_comment(line):
    """Returns a line up to a # that starts it or follows a space, not in quotes."""
    for place, letter in _unquoted(line):
        if letter == "#" and (place == 0 or line[place - 1] in " \t"):
            return line[:place]
    return line


def _value(lines):
    """Returns a str, list, dict or None of an entry's lines."""
    first, rest = lines[0].strip(), lines[1:]
    if first[:1] in _BRACKETS:
        return _flow(" ".join([first, *map(str.strip, rest)]))
    if not rest:
        return None if first in _NULLS else _scalar(first)
    if first:
        raise _UnknownForm("it goes on over several lines")
    return _block(rest)


def _block(lines):
    """Returns a list, or a dict of str or lists, of lines below their key."""
    indents = [len(line) - len(line.lstrip(" ")) for line in lines]
    if min(indents) != indents[0] or any("\t" in line for line in lines):
        raise _UnknownForm("its lines are not indented with spaces alike")
    starts = [i for i, indent in enumerate(indents) if indent == indents[0]]
    groups = [lines[i:j] for i, j in zip(starts, [*starts[1:], None], strict=True)]
    heads = [group[0].strip() for group in groups]
    items = [match[1] or "" for head in heads if (match := _ITEM.match(head))]
    if len(items) == len(lines):
        return [_scalar(item) for item in items]
    if pairs := _pairs(heads):
        parts = zip(pairs, groups, strict=True)
        return _single((key, _value([text, *g[1:]])) for (key, text), g in parts)
    raise _UnknownForm("its lines are neither '- item' nor 'key: value'")


def _pairs(parts):
    """Returns key and text of each "key: text", or nothing if one is none."""
    matches = [match for part in parts if (match := _ENTRY.match(part.strip()))]
    if len(matches) < len(parts):
        return []
    return [(_scalar(match[1]), match[2] or "") for match in matches]


def _flow(text):
    """Returns a list or dict of text in brackets."""
    close = _BRACKETS[text[0]]
    parts, start = [], 1
    for place, letter in _unquoted(text):
        if place and letter in _BRACKETS:
            raise _UnknownForm("there are brackets in brackets")
        if letter in (",", close):
            parts.append(text[start:place].strip())
            start = place + 1
        if letter == close:
            break
    else:
        raise _UnknownForm(f"a {close} is missing")
    if text[start:].strip():
        raise _UnknownForm(f"there is text behind the {close}")
    if parts and not parts[-1]:  # [a, b, ]
        parts.pop()
    if text[0] == "[":
        return [_scalar(part) for part in parts]
    pairs = _pairs(parts)
    if len(pairs) < len(parts):
        raise _UnknownForm("a part is not 'key: value'")
    return _single((key, _scalar(text)) for key, text in pairs)


def _single(pairs):
    """Returns a dict of pairs, whose keys must differ."""
    pairs = list(pairs)
    if len(dict(pairs)) < len(pairs):
        raise _UnknownForm("a key is there twice")
    return dict(pairs)


def _scalar(text):
    """Returns the str that a plain or quoted text stands for."""
    text = text.strip()
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    if text[:1] == '"':
        try:
            return json.loads(text)  # the same escapes, but for rare ones
        except json.JSONDecodeError as error:
            raise _UnknownForm(f"{text} is no quoted text") from error
    if text[:1] in tuple("&*!|>%@`[{'"):
        raise _UnknownForm(f"a text starts with {text[0]}")
    return text
