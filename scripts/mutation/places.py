"""The small faults that `scripts/mutate.py` puts into a source file, one at a time.

A fault replaces one token, found by its position, so that the rest of the file stays
as it is to the byte. Words that only readers see are left alone: strings, docstrings,
error messages, warnings, annotations, decorators, base classes and `__all__`; and
`strict=` of zip, which guards a loop and computes nothing.
"""

import ast
import bisect
import dataclasses
import io
import tokenize

# A comparison becomes its neighbour, which differs where both sides are equal, or its
# opposite.
OPERATORS = {
    ast.Add: ("+", ["-"]),
    ast.Sub: ("-", ["+"]),
    ast.Mult: ("*", ["/"]),
    ast.Div: ("/", ["*"]),
    ast.FloorDiv: ("//", ["*"]),
    ast.Mod: ("%", ["//"]),
    ast.Pow: ("**", ["*"]),
    ast.Lt: ("<", ["<=", ">="]),
    ast.LtE: ("<=", ["<", ">"]),
    ast.Gt: (">", [">=", "<="]),
    ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]),
    ast.NotEq: ("!=", ["=="]),
    ast.Is: ("is", ["is not"]),
    ast.IsNot: ("is not", ["is"]),
    ast.In: ("in", ["not in"]),
    ast.NotIn: ("not in", ["in"]),
    ast.And: ("and", ["or"]),
    ast.Or: ("or", ["and"]),
    ast.Not: ("not", [""]),
    ast.USub: ("-", [""]),
    ast.Invert: ("~", [""]),
}

BUILTINS = {"min": "max", "max": "min", "any": "all", "all": "any"}
FUNCTIONS = BUILTINS | {
    "minimum": "maximum",
    "maximum": "minimum",
    "floor": "ceil",
    "ceil": "floor",
    "round": "floor",
    "argmax": "argmin",
    "argmin": "argmax",
    "logical_and": "logical_or",
    "logical_or": "logical_and",
    "sum": "mean",
    "mean": "sum",
    "zeros": "ones",
    "ones": "zeros",
    "zeros_like": "ones_like",
    "ones_like": "zeros_like",
}

# Faults in these are for readers' eyes, or for nobody.
SILENT_CALLS = {"warn", "print"}
SILENT_KEYWORDS = {"strict", "stacklevel"}


@dataclasses.dataclass(frozen=True)
class Place:
    """One token that can be changed, by offsets in the source's bytes."""

    start: int
    end: int
    line: int  # from 1
    column: int  # from 1, in bytes
    function: str  # qualified name of the function around it, "" for a module's own
    text: str  # the line, without its indentation
    before: str
    afters: tuple[str, ...]


def places(source):
    """Returns list of Place, in the order of the file.

    Args:
        source: str, a Python module.
    """
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    found = []
    for place in sorted(finder.found, key=lambda place: place.start):
        afters = tuple(
            after
            for after in place.afters
            if _compiles(mutated(source, place.start, place.end, after))
        )
        if afters:
            found.append(dataclasses.replace(place, afters=afters))
    return found


def mutated(source, start, end, after):
    """Returns str, the source with other text between two offsets in its bytes."""
    encoded = source.encode()
    rest = encoded[end:]
    if after == "":
        rest = rest.lstrip(b" ")  # of `not x`, `x` remains
    return (encoded[:start] + after.encode() + rest).decode()


def _compiles(source):
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def other_numbers(value):
    """Returns list of str, what a constant becomes: near by, and by a visible factor.

    Very small and very large numbers guard against a division by zero, or stand for
    infinity: another factor than a large one would change nothing.
    """
    if isinstance(value, bool):
        return [repr(not value)]
    if value == 0:
        return [repr(type(value)(1))]
    if isinstance(value, int):
        return [repr(value + 1)] + ([repr(value * 2)] if value != 1 else [])
    factors = [2.0, 0.5]
    if not 1e-2 <= abs(value) <= 1e5:
        factors = [1e2] if abs(value) < 1 else [1e-5]
    return [repr(float(f"{value * factor:.6g}")) for factor in factors]


class _Finder(ast.NodeVisitor):
    """Collects the places of a module in `found`."""

    def __init__(self, source):
        lines = source.splitlines(keepends=True)
        self.encoded = source.encode()
        self.starts = [0]
        for line in lines:
            self.starts.append(self.starts[-1] + len(line.encode()))
        self.tokens = []  # (start, end, text), without comments and layout
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in (tokenize.OP, tokenize.NAME):
                row, column = token.start
                before = len(lines[row - 1][:column].encode())
                start = self.starts[row - 1] + before
                end = start + len(token.string.encode())
                self.tokens.append((start, end, token.string))
        self.found = []
        self.function = ""
        self.scope = ""  # what a name defined here begins with, as in __qualname__

    def start(self, node):
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node):
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def add(self, start, end, afters):
        row = bisect.bisect(self.starts, start) - 1
        line = self.encoded[self.starts[row] : self.starts[row + 1]]
        place = Place(
            start,
            end,
            row + 1,
            start - self.starts[row] + 1,
            self.function,
            line.decode().strip(),
            self.encoded[start:end].decode(),
            tuple(afters),
        )
        self.found.append(place)

    def add_operator(self, operator, low, high):
        """Adds the operator whose token lies between two offsets."""
        if type(operator) not in OPERATORS:
            return
        text, afters = OPERATORS[type(operator)]
        first, *more = text.split()
        inside = [t for t in self.tokens if low <= t[0] and t[1] <= high]
        for index, (start, end, token) in enumerate(inside):
            if token == first:
                self.add(start, inside[index + 1][1] if more else end, afters)
                return

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if not any(map(_joins_sequences, (node.left, node.right))):
            self.add_operator(node.op, self.end(node.left), self.start(node.right))

    def visit_AugAssign(self, node):
        self.visit(node.value)
        text, afters = OPERATORS.get(type(node.op), ("", []))
        for start, end, token in self.tokens:
            if token == text + "=" and self.end(node.target) <= start:
                if end <= self.start(node.value) and not _joins_sequences(node.value):
                    self.add(start, end, [after + "=" for after in afters])
                return

    def visit_Compare(self, node):
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            self.add_operator(operator, self.end(left), self.start(right))

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.add_operator(node.op, self.end(left), self.start(right))

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        self.add_operator(node.op, self.start(node), self.start(node.operand))

    def visit_Constant(self, node):
        if isinstance(node.value, bool | int | float):
            self.add(self.start(node), self.end(node), other_numbers(node.value))

    def visit_Name(self, node):
        if node.id in BUILTINS and isinstance(node.ctx, ast.Load):
            self.add(self.start(node), self.end(node), [BUILTINS[node.id]])

    def visit_Attribute(self, node):
        self.visit(node.value)
        if node.attr in FUNCTIONS and not _is_of_self(node):
            end = self.end(node)
            self.add(end - len(node.attr), end, [FUNCTIONS[node.attr]])

    def visit_Call(self, node):
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in SILENT_CALLS:
            return
        self.generic_visit(node)

    def visit_keyword(self, node):
        if node.arg not in SILENT_KEYWORDS:
            self.visit(node.value)

    def visit_FunctionDef(self, node):
        around = self.function, self.scope
        self.function = self.scope + node.name
        self.scope = self.function + ".<locals>."
        self.visit_each([*node.args.defaults, *node.args.kw_defaults, *node.body])
        self.function, self.scope = around

    def visit_ClassDef(self, node):
        around, self.scope = self.scope, f"{self.scope}{node.name}."
        self.visit_each(node.body)
        self.scope = around

    def visit_Assign(self, node):
        if getattr(node.targets[0], "id", "") != "__all__":
            self.generic_visit(node)

    def visit_AnnAssign(self, node):
        self.visit_each([node.value])

    def visit_Raise(self, node):
        pass

    def visit_JoinedStr(self, node):
        pass

    def visit_each(self, nodes):
        for node in nodes:
            if node is not None:
                self.visit(node)


def _joins_sequences(node):
    """Whether the operand shows that `+`, `*` or `%` is one of texts or lists."""
    if isinstance(node, ast.BinOp):
        return _joins_sequences(node.left) or _joins_sequences(node.right)
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return text or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp)


def _is_of_self(node):
    """Whether an attribute is a part of `self`, as the mean in `self.mean`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "self"
