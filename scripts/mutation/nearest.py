"""Which tests are nearest to a fault: by the imports, and by what they call.

The distance is the number of imports from a test file to the module. A name that a
package hands on (`from keras_fpn.layers import FeaturePyramid`) counts as an import of
the module that defines it, not of the package, which imports everything.
"""

import ast
import pathlib

PACKAGE = "keras_fpn"
TESTS = "tests"
LOOK_INTO = 14  # nearest test files, until so many
CALLING = 4  # of them call the function


class Imports:
    """The imports of a checkout's package and tests.

    Args:
        root: pathlib.Path of the checkout.
        left_out: strings; test files whose path starts with one are not asked.
    """

    def __init__(self, root, left_out=()):
        self.trees = {
            path.relative_to(root).as_posix(): ast.parse(path.read_text())
            for folder in (PACKAGE, TESTS)
            for path in sorted((root / folder).rglob("*.py"))
        }
        # Tests import their helpers as if `tests` were on the path.
        self.files = {_dotted(name): name for name in self.trees}
        self.handed_on: dict[str, dict[str, str]] = {}  # package -> name -> module
        for name, tree in self.trees.items():
            if name.endswith("__init__.py"):
                self.handed_on[_dotted(name)] = self._handed_on(tree)
        self.edges = {name: self._imported(tree) for name, tree in self.trees.items()}
        self.distances = {
            name: self._distances(name)
            for name in self.trees
            if pathlib.PurePath(name).name.startswith("test_")
            and not name.startswith(tuple(left_out))
        }

    def nearest(self, module):
        """Returns dict of test file -> distance, 0 for the module's own, nearest first.

        Of one distance, the file comes first that imports least.

        Args:
            module: str, the module's path in the checkout.
        """
        own = pathlib.PurePath(TESTS, *pathlib.PurePath(module).parts[1:])
        ranks = {}
        for test, distances in self.distances.items():
            if module in distances:
                named = pathlib.PurePath(test).stem.startswith(f"test_{own.stem}")
                mine = pathlib.PurePath(test).parent == own.parent and named
                ranks[test] = 0 if mine else distances[module]
        order = sorted(ranks, key=lambda t: (ranks[t], len(self.distances[t]), t))
        return {test: ranks[test] for test in order}

    def outside(self):
        """Returns set of str, the other modules that package and tests import."""
        modules = (
            module
            for tree in self.trees.values()
            for module, _ in _import_statements(tree)
        )
        return {name for name in modules if name.split(".")[0] != PACKAGE}

    def _handed_on(self, tree):
        return {
            name: module
            for module, names in _import_statements(tree)
            for name in names
            if module.startswith(PACKAGE) and f"{module}.{name}" not in self.files
        }

    def _imported(self, tree):
        """Returns set of str, the checkout's files that one file imports."""
        modules = set()
        for module, names in _import_statements(tree):
            modules |= {self._definer(module, name) for name in names} or {module}
        # What is reached through a package: `keras_fpn.layers.FeaturePyramid`.
        attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        packages = [module for module in modules if module in self.handed_on]
        while packages:
            package = packages.pop()
            for name in attributes:
                module = self._definer(package, name)
                if module != package and module not in modules:
                    modules.add(module)
                    packages += [module] if module in self.handed_on else []
        return {self.files[module] for module in modules if module in self.files}

    def _definer(self, module, name):
        if f"{module}.{name}" in self.files:
            return f"{module}.{name}"
        return self.handed_on.get(module, {}).get(name, module)

    def _distances(self, start):
        distances, border = {start: 0}, [start]
        while border:
            name = border.pop(0)
            for other in sorted(self.edges[name]):
                if other not in distances:
                    distances[other] = distances[name] + 1
                    border.append(other)
        return distances


def chosen(mutant, ranks, measured, budget):
    """Returns the nearest tests that call the function of a fault.

    Tests that call it themselves come before the others of their files, which may look
    at what a fixture did. One that calls it is there even if it alone takes more than
    the budget. For a module's own constants it is any function of the file. Where none
    of the nearest files calls it (a test may do so in another process), they count all.

    Args:
        mutant: dict, the fault.
        ranks: dict of test file -> distance, nearest first.
        measured: dict of test file -> what `mutate.py` notes of it.
        budget: float, seconds that the tests may take.

    Returns:
        tests: list of tests, file by file, nearest first.
        unknown: test file to be measured before it can be said, or None.
    """
    key, whole = f"{mutant['path']}:{mutant['function']}", mutant["function"] == ""
    nearest_files = list(ranks)[:LOOK_INTO]
    seconds_of: dict[str, float] = {}
    callers, calling, spent = [], [], 0.0
    for name in nearest_files:
        if len(calling) == CALLING or spent > budget:
            break
        if name not in measured:
            return [], name
        in_file = measured[name]["seconds_of"]
        seconds_of |= in_file
        names, numbers = list(in_file), set()
        for function, tests in measured[name]["calls"].items():
            if function == key or (whole and function.startswith(key)):
                numbers |= set(tests)
        if numbers:
            calling.append(name)
            callers += sorted((names[n] for n in numbers), key=seconds_of.__getitem__)
            spent += sum(in_file[names[n]] for n in numbers)
    files = calling if callers else nearest_files
    others = [t for n in files for t in measured[n]["seconds_of"] if t not in callers]
    cheapest = min(callers, key=seconds_of.__getitem__, default=None)
    taken, left = [], budget
    for test in [*callers, *sorted(others, key=seconds_of.__getitem__)]:
        if seconds_of[test] <= left or test == cheapest:
            taken.append(test)
            left -= seconds_of[test]
    place = {name: number for number, name in enumerate(files)}
    return sorted(taken, key=lambda test: place[test.split("::")[0]]), None


def _import_statements(tree):
    """Yields (module, names) of every import, also of those within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, [alias.name for alias in node.names]


def _dotted(name):
    parts = pathlib.PurePath(name).with_suffix("").parts
    if parts[0] == TESTS:
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
