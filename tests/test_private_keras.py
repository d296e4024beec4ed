"""What is private in Keras and used all the same: named here, and still there.

A private member may go with any minor version of Keras or TensorFlow, and some would
not be missed: without `_all_reduce_sum_gradients` gradients would be added up twice. So
setup.cfg bounds both to the minor versions that were tried; for the next ones this test
says what to look at.
"""

import ast
import importlib
import importlib.metadata
import inspect
import pathlib
import re

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRIED = {"keras": "3.15", "tensorflow": "2.21"}

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
OF_MODELS = {"_flatten_layers", "_maybe_symbolic_build"}
# Another method is put in their place, so Keras must not only have but call them, and
# in the way that the other one was written for.
OVERRIDDEN = {
    "_all_reduce_sum_gradients": "(self, grads_and_vars)",
    "_apply_weight_decay": "(self, variables)",
    "_backend_apply_gradients": "(self, grads, trainable_variables)",
    "_maybe_symbolic_build": "(self, iterator=None, data_batch=None)",
}
# On JAX alone: it is overridden there, and its value put back by the public
# `jax_state_sync`, which reads `_jax_state`.
OF_JAX_MODELS = {"_get_jax_state", "_jax_state"}
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


# Functions that take an attribute's name as a text.
BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller"}
BY_NAME |= {"__getattribute__", "__setattr__", "__delattr__"}


def is_self(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def texts(nodes):
    return [node.value for node in nodes if isinstance(getattr(node, "value", 0), str)]


def attributes(tree):
    """Yields (object, name) of each private attribute; None for one named by a text."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Attribute):
            yield from [(node, node.attr)] if private(node.attr) else []
        elif isinstance(node, ast.Call):
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            names = texts(node.args) if function in BY_NAME else []
        elif isinstance(node, ast.Subscript):
            kept = ast.unparse(node.value)
            if kept.endswith(".__dict__") or kept.startswith("vars("):
                names = texts([node.slice])
        for text in names:
            yield from ((None, name) for name in text.split(".") if private(name))


def defined(tree):
    """The private names that a file itself gives to something of its own."""
    names = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    for node, name in attributes(tree):
        if node and isinstance(node.ctx, ast.Store) and is_self(node.value):
            names.add(name)
    return {name for name in names if private(name)}


def used_in(tree, theirs=frozenset()):
    """The private names that a file reads or sets and that are not its own.

    A name of its own that Keras's objects have too, `theirs`, is its own on self alone.
    """
    own = defined(tree)
    return {
        name
        for node, name in attributes(tree)
        if name not in own or (name in theirs and not (node and is_self(node.value)))
    }


def names_of_keras():
    """The private names of Keras's own objects, once they are built."""
    optimizer, model = built()
    objects = optimizer, model, *model.layers, *BASES
    return {name for each in objects for name in dir(each) if private(name)}


def built():
    """An optimizer and a model; some of what they have is made when they are built."""
    optimizer = keras.optimizers.SGD(use_ema=True, gradient_accumulation_steps=2)
    optimizer.build([keras.Variable([1.0])])
    return optimizer, keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


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


def within_keras(module):
    first, *rest = module.split(".")
    return first == "keras" and ("src" in rest or any(private(part) for part in rest))


def private_imports(tree):
    """Yields what is imported from inside Keras, or named in a text to be imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{name}" for name in modules]
            yield from filter(within_keras, modules)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from filter(within_keras, [node.value])
        if isinstance(node, ast.Attribute) and node.attr == "src":
            yield ast.unparse(node)


@pytest.mark.tensorflow_only
def test_every_private_name_that_is_used_is_listed():
    parsed, theirs = list(trees()), names_of_keras()
    assert {"_lock", "_losses", "_metrics"} <= theirs  # which files have of their own
    used = set().union(*(used_in(tree, theirs) for _, tree in parsed))
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
        ("object.__setattr__(x, '_there', 1)", {"_there"}),
        ("attrgetter('_there')(x)", {"_there"}),
        ("operator.methodcaller('_there')(x)", {"_there"}),
        ("operator.attrgetter('public._there')(x)", {"_there"}),
        ("vars(x)['_there']", {"_there"}),
        ("x.__dict__['_there']", {"_there"}),
        ("self._here = 1\nprint(other._here)", set()),
        ("self._of_keras = 1\nprint(self._of_keras)", set()),
        ("self._of_keras = 1\nprint(other._of_keras)", {"_of_keras"}),
        ("self._of_keras = 1\ngetattr(other, '_of_keras')", {"_of_keras"}),
        ("def _here(): pass\nx._here()", set()),
        ("x.public, x.__dict__, print('_there'), y['_there']", set()),
        ("", set()),
    ],
)
def test_a_use_is_seen(text, names):
    assert used_in(ast.parse(text), {"_of_keras"}) == names


@pytest.mark.parametrize(
    "text",
    [
        "import keras.src",
        "from keras.src import ops",
        "from keras import _x",
        "keras.src",
        "importlib.import_module('keras.src.trainers')",
        "__import__('keras._x')",
    ],
)
def test_an_import_from_inside_keras_is_seen(text):
    assert list(private_imports(ast.parse(text)))


@pytest.mark.tensorflow_only
def test_what_is_listed_is_there():
    optimizer, model = built()
    assert {name for name in OF_OPTIMIZERS if not hasattr(optimizer, name)} == set()
    assert {name for name in OF_MODELS if not hasattr(model, name)} == set()
    sources = "".join(
        inspect.getsource(inspect.getmodule(base))
        for kind in (type(optimizer), type(model))
        for base in kind.__mro__
        if base.__module__.startswith("keras.")
    )
    called = {name for name in OVERRIDDEN if f"self.{name}(" in sources}
    assert called == set(OVERRIDDEN)
    signatures = {}
    for name in OVERRIDDEN:
        kind = type(optimizer if name in OF_OPTIMIZERS else model)
        signatures[name] = str(inspect.signature(getattr(kind, name)))
    assert signatures == OVERRIDDEN


def test_what_is_overridden_on_jax_is_called_by_names_and_put_back():
    trainer = importlib.import_module("keras.src.backend.jax.trainer")
    source = inspect.getsource(trainer)
    for name in OF_JAX_MODELS:
        assert f"self.{name}" in source
    calls = [
        {keyword.arg for keyword in node.keywords}
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "_get_jax_state"
        and not node.args
    ]
    kinds = {"trainable_variables", "non_trainable_variables"}
    assert calls
    assert all(kinds <= names for names in calls)
    synced = inspect.getsource(trainer.JAXTrainer.jax_state_sync)
    assert all(f'"{kind}"' in synced for kind in kinds)


@pytest.mark.tensorflow_only
def test_what_is_listed_of_tensorflow_is_there():
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    batches = strategy.distribute_datasets_from_function(
        lambda context: tf.data.Dataset.range(2)
    )
    assert hasattr(batches, "_cardinality")
    assert hasattr(strategy.extended, "_in_multi_worker_mode")


@pytest.mark.parametrize("name", TRIED)
def test_each_is_bounded_to_the_minor_version_that_was_tried(name):
    major, minor = (int(number) for number in TRIED[name].split("."))
    bound = f"{name}>={TRIED[name]},<{major}.{minor + 1}"
    assert re.search(rf"^    {bound}$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert ".".join(importlib.metadata.version(name).split(".")[:2]) == TRIED[name]
