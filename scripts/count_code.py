"""Counts lines of code by folder: without blank lines, comments and docstrings.

    python scripts/count_code.py [CHECKOUT ...]

One column per checkout, so that a change shows in the table.
"""

import argparse
import ast
import collections
import pathlib
import tokenize

ROOT = pathlib.Path(__file__).resolve().parent.parent
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(path):
    """Returns how many lines of a Python file hold code, int."""
    with tokenize.open(path) as file:
        text = file.read()
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            first = node.body[0]
            last = first.end_lineno or first.lineno
            docstrings |= set(range(first.lineno, last + 1))
    lines = set()
    with open(path, "rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type not in _NO_CODE:
                lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def by_folder(checkout):
    """Returns a Counter, folder of the package -> lines; "." has its own modules."""
    package = pathlib.Path(checkout) / "keras_fpn"
    counts = collections.Counter()
    for path in sorted(package.rglob("*.py")):
        folder = path.relative_to(package).parts
        counts[folder[0] if len(folder) > 1 else "."] += code_lines(path)
    return counts


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", nargs="*", default=[ROOT], metavar="CHECKOUT")
    checkouts = parser.parse_args().checkouts
    columns = [by_folder(checkout) for checkout in checkouts]
    for folder in [*sorted(set().union(*columns)), "all"]:
        counts = [
            column.total() if folder == "all" else column[folder] for column in columns
        ]
        print(f"{folder:15}", *(f"{count:6}" for count in counts))


if __name__ == "__main__":
    main()
