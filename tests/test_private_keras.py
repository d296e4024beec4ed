"""What is private in Keras and used all the same: named here, and still there.

A private member may go with any minor version of Keras, and some would not be missed:
without `_all_reduce_sum_gradients` gradients would be added up twice. So setup.cfg
bounds Keras to the minor version that was tried; for the next one this test says what
to look at.
"""

import ast
import importlib
import inspect
import pathlib
import re

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRIED = "3.15"

OF_OPTIMIZERS = {
    "_accumulated_gradients",
    "_all_reduce_sum_gradients",
    "_apply_weight_decay",
    "_backend_apply_gradients",
    "_backend_increment_gradient_accumulators",
    "_backend_reset_gradient_accumulators",
    "_backend_update_step",
    "_clip_gradients",
    "_get_variable_index",
    "_iterations",
    "_model_variables_moving_average",
    "_overwrite_model_variables_with_average_value",
    "_trainable_variables",
    "_update_model_variables_moving_average",
    "_use_weight_decay",
}
OF_MODELS = {"_distribute_strategy", "_flatten_layers", "_maybe_symbolic_build"}
# Another method is put in their place, so Keras must not only have but call them.
OVERRIDDEN = {
    "_all_reduce_sum_gradients",
    "_apply_weight_decay",
    "_backend_apply_gradients",
    "_maybe_symbolic_build",
}
OF_TENSORFLOW = {"_cardinality", "_in_multi_worker_mode"}
LISTED = OF_OPTIMIZERS | OF_MODELS | OF_TENSORFLOW

OWN_MARKS = {"_adapted_to_replicas"}  # set by this package on Keras's objects

BASES = (
    keras.Model,
    keras.layers.Layer,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.callbacks.Callback,
    keras.utils.PyDataset,
)


def private(name):
    return name.startswith("_") and not name.startswith("__")


def trees():
    """Yields the path and the tree of each file of the package."""
    for path in sorted((ROOT / "keras_fpn").rglob("*.py")):
        yield path, ast.parse(path.read_text())


def is_self(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def attributes(tree):
    """Yields (node, name) of each private attribute, also of those that are texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            yield node, node.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("getattr", "hasattr", "setattr", "delattr"):
                for text in node.args[1:2]:
                    if isinstance(text, ast.Constant) and private(text.value):
                        yield node, text.value


def defined(tree):
    """The private names that a file itself gives to something of its own."""
    names = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    for node, name in attributes(tree):
        stored = isinstance(getattr(node, "ctx", None), ast.Store)
        if stored and is_self(node.value):
            names.add(name)
    return {name for name in names if private(name)}


def used_in(tree, own):
    """The private names that a file reads or sets and that are not the package's."""
    return {name for _, name in attributes(tree)} - own


def overridden_in(path, tree):
    """The private names of Keras's own classes that a file's classes define anew."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        here = getattr(importlib.import_module(module), node.name, None)
        if inspect.isclass(here) and issubclass(here, BASES):
            theirs = {
                name
                for base in here.__mro__
                if not base.__module__.startswith("keras_fpn")
                for name in dir(base)
            }
            found |= defined(node) & theirs
    return found


def private_imports(tree):
    for node in ast.walk(tree):
        modules = [alias.name for alias in getattr(node, "names", ())]
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{name}" for name in modules]
        if isinstance(node, ast.Import | ast.ImportFrom):
            for module in modules:
                first, *rest = module.split(".")
                if first == "keras" and (
                    "src" in rest or any(private(part) for part in rest)
                ):
                    yield module
        if isinstance(node, ast.Attribute) and node.attr == "src":
            yield ast.unparse(node)


@pytest.mark.tensorflow_only
def test_every_private_name_that_is_used_is_listed():
    parsed = list(trees())
    own = set().union(*(defined(tree) for _, tree in parsed))
    used = set().union(*(used_in(tree, own) for _, tree in parsed))
    overridden = set().union(*(overridden_in(*each) for each in parsed))
    assert used - OWN_MARKS | overridden == LISTED


def test_nothing_is_imported_from_inside_keras():
    found = {str(path): list(private_imports(tree)) for path, tree in trees()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("model._flat()", {"_flat"}),
        ("optimizer._apply = list", {"_apply"}),
        ("x = self._there", {"_there"}),
        ("hasattr(x, '_there')", {"_there"}),
        ("self._here = 1\nprint(other._here)", set()),
        ("def _here(): pass\nx._here()", set()),
        ("x.public, x.__dict__", set()),
    ],
)
def test_a_use_is_seen(text, names):
    tree = ast.parse(text)
    assert used_in(tree, defined(tree)) == names


@pytest.mark.parametrize(
    "text",
    [
        "import keras.src",
        "from keras.src import ops",
        "from keras import _x",
        "keras.src",
    ],
)
def test_an_import_from_inside_keras_is_seen(text):
    assert list(private_imports(ast.parse(text)))


@pytest.mark.tensorflow_only
def test_what_is_listed_is_there():
    # Built, for some of it is made then.
    optimizer = keras.optimizers.SGD(use_ema=True, gradient_accumulation_steps=2)
    optimizer.build([keras.Variable([1.0])])
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    assert {name for name in OF_OPTIMIZERS if not hasattr(optimizer, name)} == set()
    assert {name for name in OF_MODELS if not hasattr(model, name)} == set()
    sources = "".join(
        inspect.getsource(inspect.getmodule(base))
        for kind in (type(optimizer), type(model))
        for base in kind.__mro__
        if base.__module__.startswith("keras.")
    )
    called = {name for name in OVERRIDDEN if f"self.{name}(" in sources}
    assert called == OVERRIDDEN


@pytest.mark.tensorflow_only
def test_what_is_listed_of_tensorflow_is_there():
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    batches = strategy.distribute_datasets_from_function(
        lambda context: tf.data.Dataset.range(2)
    )
    assert hasattr(batches, "_cardinality")
    assert hasattr(strategy.extended, "_in_multi_worker_mode")


def test_keras_is_bounded_to_the_minor_version_that_was_tried():
    major, minor = (int(number) for number in TRIED.split("."))
    bound = f"keras>={TRIED},<{major}.{minor + 1}"
    assert re.search(rf"^    {bound}$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert ".".join(keras.__version__.split(".")[:2]) == TRIED
