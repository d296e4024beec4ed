"""The shape of the code: who may import whom, who may import TensorFlow, and sizes.

Only imports that run when a module is imported count as arrows; an import inside a
function is a lazy one and may point anywhere, except that TensorFlow stays where it
is allowed.
"""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "keras_fpn"

# Lowest first. A unit is a module or a folder directly in the package.
LAYERS = [
    "backend config extras files moved levels boxes box_merging box_coder anchors "
    "chance matcher sampler losses point_coder run_lengths version",
    "distribute",
    "ops",
    "layers",
    "backbones preprocessing video weights",
    "models",
    "presets",
    "data loading recognition visualize",
    "conversion metrics to_supervision",
    "report serving",
    "training export",
    "cli __main__",
    PACKAGE,  # the package's own __init__ shows what is below to the user
]
RANK = {unit: rank for rank, units in enumerate(LAYERS) for unit in units.split()}

# `weights` maps tensors onto a model that it is given: it builds none.
FORBIDDEN = {"weights": {"backbones"}}

TENSORFLOW_FOLDERS = {"data", "export", "serving", "training"}
MAX_FILE_LINES = 400
MAX_BODY_LINES = 60

# Filters of warnings are the whole process's: these change them in the main thread, or
# hold a lock. What threads read photos by must not.
CHANGE_WARNING_FILTERS = {
    "keras_fpn/cli/look.py",
    "keras_fpn/cli/terminal.py",
    "keras_fpn/data/image_files.py",
    "keras_fpn/training/checkpoints.py",
    "keras_fpn/weights/keras_files.py",
}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def library_files():
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def all_files():
    folders = [PACKAGE, "scripts", "tests", "zoo"]
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


def parsed(path):
    return ast.parse(path.read_text(), filename=str(path))


def place(path, node=None):
    where = path.relative_to(ROOT).as_posix()
    return where if node is None else f"{where}:{node.lineno}"


def unit_of(dotted):
    """The unit of a module's full name: "keras_fpn.ops.nms" -> "ops"."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else PACKAGE


def dotted_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def walk_module_level(node):
    """Every node that runs on import: all but what stands inside a function."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*FUNCTIONS, ast.Lambda)):
            yield child
            yield from walk_module_level(child)


def imported_modules(node, path):
    """Full names of the modules that an import statement may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:  # relative: count upwards from the file's own folder
        folder = path.relative_to(ROOT).parent.parts
        base = ".".join(
            [*folder[: len(folder) - node.level + 1], *filter(None, [base])]
        )
    if base == PACKAGE:  # `from keras_fpn import boxes` loads a unit, not the package
        units = [alias.name for alias in node.names]
        return [f"{PACKAGE}.{unit}" if unit in RANK else PACKAGE for unit in units]
    return [base]


def package_arrows():
    """(path, node, importing unit, imported unit) of each import within the package."""
    for path in library_files():
        here = unit_of(dotted_name(path))
        for node in walk_module_level(parsed(path)):
            for module in imported_modules(node, path):
                if module.split(".")[0] == PACKAGE:
                    yield path, node, here, unit_of(module)


def body_lines(function):
    """Lines of a function's body without its docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_every_unit_has_its_place():
    units = {unit_of(dotted_name(path)) for path in library_files()}
    assert units - set(RANK) == set(), "put it into LAYERS of this test"


def test_filters_of_warnings_are_changed_in_few_places():
    changing = {
        place(path)
        for path in library_files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("catch_warnings", "filterwarnings", "simplefilter")
    }
    assert changing == CHANGE_WARNING_FILTERS


def test_every_folder_is_a_package():
    folders = {path.parent for path in library_files()}
    missing = [place(f) for f in folders if not (f / "__init__.py").is_file()]
    assert missing == [], "without __init__.py the wheel leaves the folder out"


def test_no_import_points_upwards():
    wrong = [
        f"{place(path, node)}: {here} imports {there}"
        for path, node, here, there in package_arrows()
        if RANK[there] > RANK[here] or there in FORBIDDEN.get(here, ())
    ]
    assert wrong == []


def test_units_do_not_import_each_other_in_a_circle():
    imports = {}
    for _, _, here, there in package_arrows():
        if here != there:
            imports.setdefault(here, set()).add(there)

    def reachable(unit, seen):
        for below in imports.get(unit, ()):
            if below not in seen:
                seen.add(below)
                reachable(below, seen)
        return seen

    assert [unit for unit in imports if unit in reachable(unit, set())] == []


def test_tensorflow_is_imported_only_where_it_may_be():
    wrong = []
    for path in library_files():
        allowed = unit_of(dotted_name(path)) in TENSORFLOW_FOLDERS
        if allowed or path.stem.endswith("_tensorflow"):
            continue
        for node in ast.walk(parsed(path)):
            names = [m.split(".")[0] for m in imported_modules(node, path)]
            if "tensorflow" in names:
                wrong.append(place(path, node))
    assert wrong == []


def test_tensorflow_kernels_are_imported_lazily():
    wrong = [
        place(path, node)
        for path in library_files()
        if not path.stem.endswith("_tensorflow")
        for node in walk_module_level(parsed(path))
        for module in imported_modules(node, path)
        if module.endswith("_tensorflow")
    ]
    assert wrong == [], "import it in the function that has seen the backend"


def test_files_and_functions_stay_small():
    wrong = []
    for path in all_files():
        lines = len(path.read_text().splitlines())
        if lines > MAX_FILE_LINES:
            wrong.append(f"{place(path)}: {lines} lines")
        for node in ast.walk(parsed(path)):
            if isinstance(node, FUNCTIONS) and body_lines(node) > MAX_BODY_LINES:
                wrong.append(f"{place(path, node)} {node.name}: {body_lines(node)}")
    assert wrong == []


def test_library_never_asserts():
    wrong = [
        place(path, node)
        for path in library_files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Assert)
    ]
    assert wrong == [], "raise ValueError with the received value"


def test_only_commands_print():
    wrong = [
        place(path, node)
        for path in library_files()
        if unit_of(dotted_name(path)) != "cli"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert wrong == [], "log it as information, which the commands show"


def test_public_names_have_docstrings():
    wrong = [
        f"{place(path, node)} {node.name}"
        for path in library_files()
        for node in parsed(path).body
        if isinstance(node, (*FUNCTIONS, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("file", "code", "loaded"),
    [
        ("models/detector.py", "import keras_fpn.ops.nms", ["keras_fpn.ops.nms"]),
        ("models/detector.py", "from keras_fpn import boxes", ["keras_fpn.boxes"]),
        ("models/detector.py", "from keras_fpn import VERSION", ["keras_fpn"]),
        ("models/detector.py", "from .rpn import RPN", ["keras_fpn.models.rpn"]),
        ("models/detector.py", "from .. import cli", ["keras_fpn.cli"]),
        ("models/__init__.py", "from ..cli import main", ["keras_fpn.cli"]),
    ],
)
def test_imports_are_read_in_every_spelling(file, code, loaded):
    node = ast.parse(code).body[0]
    assert imported_modules(node, ROOT / PACKAGE / file) == loaded


def test_imports_under_a_condition_count_and_lazy_ones_do_not():
    code = "if True:\n  import a\nclass C:\n  import b\n  def f(self):\n    import c\n"
    found = [n for n in walk_module_level(ast.parse(code)) if isinstance(n, ast.Import)]
    assert [n.names[0].name for n in found] == ["a", "b"]
