"""Reads data.yaml, the description of a YOLO data set: plain texts, lists and maps."""

import yaml

_MAX_CHARACTERS = 2**19  # of a data.yaml; 20,000 class names take less
_MAX_DEPTH = 20
_TAGS = {"scalar": "str", "sequence": "seq", "mapping": "map"}
_NULLS = ("", "~", "null", "Null", "NULL")


class _Loader(yaml.BaseLoader):
    """PyYAML's loader that makes texts, lists and dicts only, without aliases.

    `yaml.SafeLoader` would turn a class named "no" into False.
    """

    depth = 0

    def compose_node(self, parent, index):
        """Composes a node; raises for aliases and for deep nesting."""
        event, self.depth = self.peek_event(), self.depth + 1
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not supported, repeat the text instead"
            raise _problem_at(event, problem)
        if self.depth > _MAX_DEPTH:
            raise _problem_at(event, "lists or maps are nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_entries(text: str, keys, path):
    """Returns some entries of a data.yaml.

    All scalars are texts: a class may be named no or 007.

    Args:
        text: str, the content of the file.
        keys: collection of str, the names of the entries to return.
        path: str or Path of the file, for error messages.

    Returns:
        dict of the entries that exist and are not null: str, list of str, or dict of
        str -> str or list of str.

    Raises:
        ValueError: the file is not valid YAML, or too large, or one of the entries has
            another form or appears twice. The message names the file and the line.
    """
    entries: dict[str, str | list | dict] = {}
    try:
        if len(text) > _MAX_CHARACTERS:
            raise yaml.MarkedYAMLError(
                problem=f"it has over {_MAX_CHARACTERS} characters"
            )
        root = yaml.compose(text, _Loader)
        for key, node in () if root is None else _pairs(root).items():
            if key not in keys:
                continue
            quoted = getattr(node, "style", None)  # collections have no style
            if quoted or node.value not in _NULLS:
                entries[key] = _content(node)
    except yaml.YAMLError as error:
        raise ValueError(
            "A data.yaml must be plain YAML with texts, lists of texts, or maps of "
            f"texts; received path={str(path)!r}: {_problem(error)}. Write names as "
            "[a, b] or as lines '- a'."
        ) from error
    return entries


def _content(node, forms=("scalar", "sequence", "mapping")):
    """Returns the str, list or dict of a YAML node of one of these forms."""
    if node.tag != f"tag:yaml.org,2002:{_TAGS[node.id]}":
        raise _problem_at(node, f"the tag {node.tag} is not supported")
    if node.id not in forms:
        what = "a list or map in place of a text"
        raise _problem_at(node, f"{what} is not supported")
    if node.id == "mapping":
        return {key: _content(value, forms[:2]) for key, value in _pairs(node).items()}
    if node.id == "sequence":
        return [_content(item, forms[:1]) for item in node.value]
    return node.value


def _pairs(node):
    """Returns dict of str -> node of a mapping, whose keys must differ."""
    if not isinstance(node, yaml.MappingNode):
        raise _problem_at(node, "anything but a map here is not supported")
    pairs = {}
    for key, value in node.value:
        if _content(key, ("scalar",)) in pairs:
            raise _problem_at(key, f"the key {key.value!r} twice is not supported")
        pairs[key.value] = value
    return pairs


def _problem_at(place, problem):
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _problem(error):
    """Returns one line: what is wrong with a YAML file, and where."""
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}: "
    return where + " ".join(str(getattr(error, "problem", None) or error).split())
