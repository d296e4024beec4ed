"""One check that every layer has to pass, whatever it computes."""

import inspect
import json
import pathlib
import tempfile

import keras
import numpy as np
from on_backend import arrays, graph_of_all_sizes, outputs_of, symbolic_like

TOLERANCE = 1e-4  # of the largest value: compiling reorders float32 sums
HALF_TOLERANCE = 0.03  # bfloat16 has 8 bits of mantissa: a few roundings in a row


def check_layer(make, arguments, inputs, shapes, other_inputs, half="bfloat16"):
    """Checks what a layer owes to whoever uses it in a functional model.

    - Its config holds every argument, each tried at another value than its default.
    - Its shapes and dtypes are the same symbolically and eagerly, and those sizes are
      known beforehand that do not depend on the input's free ones.
    - Saved to .keras within a model, loaded and compiled, it computes the same; one
      graph takes other batch and image sizes.
    - Under mixed_bfloat16 it computes nearly the same, from float32 weights.

    Args:
        make: the layer's class.
        arguments: dict of all its arguments, none at its default.
        inputs: tuple of nested arrays, what it is called with.
        shapes: the same structure of shape tuples, None where a size is free.
        other_inputs: as `inputs`, with other values for all free sizes.
        half: str, dtype of its float outputs under mixed_bfloat16.
    """
    assert_every_argument_is_tried(make, arguments)
    assert_free_sizes_differ(shapes, inputs, other_inputs)
    layer = make(**arguments, name="checked")
    assert_config_holds_arguments(layer, arguments)
    model = model_of(layer, shapes)
    randomize(layer)
    outputs = outputs_of(layer, *inputs)
    other_outputs = outputs_of(layer, *other_inputs)
    assert_symbolic_equals_eager(layer, inputs, outputs)
    assert_fixed_sizes_are_known(model.output, outputs, other_outputs)
    reloaded = saved_and_loaded(model)
    assert_same_weights(reloaded.get_layer("checked"), layer)
    assert as_json(reloaded.get_layer("checked")) == as_json(layer)
    run = graph_of_all_sizes(lambda *x: reloaded(list(x)), shapes)
    assert_close(run(*inputs), outputs)
    assert_close(run(*other_inputs), other_outputs)
    assert_half_precision(make, arguments, inputs, layer, outputs, half)


def as_json(layer):
    """The config as a file holds it, where tuples are lists."""
    return json.dumps(keras.saving.serialize_keras_object(layer.get_config()))


def assert_every_argument_is_tried(make, arguments):
    defaults = defaults_of(make)
    assert set(arguments) == set(defaults), "try exactly the layer's own arguments"
    same = [name for name, value in arguments.items() if value == defaults[name]]
    assert same == [], "try these at another value than their default"


def defaults_of(make):
    parameters = inspect.signature(make).parameters.values()
    named = {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}
    every_layers = inspect.signature(keras.layers.Layer).parameters
    return {name: named[name] for name in named if name not in every_layers}


def assert_free_sizes_differ(shapes, inputs, other_inputs):
    arrays_of_both = (keras.tree.flatten(x) for x in (inputs, other_inputs))
    shapes = keras.tree.flatten(keras.tree.map_shape_structure(str, list(shapes)))
    for shape, one, other in zip(shapes, *arrays_of_both, strict=True):
        sizes = zip(one.shape, other.shape, strict=True)
        assert shape == str(tuple(a if a == b else None for a, b in sizes))


def assert_config_holds_arguments(layer, arguments):
    make, config = type(layer), layer.get_config()
    json.dumps(keras.saving.serialize_keras_object(config))  # fits into a file
    again = make.from_config(config)
    assert again.name == layer.name
    assert again.get_config() == config
    for name, default in defaults_of(make).items():
        if default is not inspect.Parameter.empty:
            others = {key: arguments[key] for key in arguments if key != name}
            assert make(**others).get_config()[name] != config[name], name


def model_of(layer, shapes):
    """Returns a functional model of the layer alone."""
    inputs = keras.tree.map_shape_structure(
        lambda shape: keras.Input(batch_shape=shape), list(shapes)
    )
    return keras.Model(inputs, layer(*inputs))


def randomize(layer):
    """Gives every weight random values, positive ones to variances."""
    generator = np.random.default_rng(0)
    for variable in layer.weights:
        values = 0.5 * generator.normal(size=variable.shape)
        positive = variable.path.endswith("variance")
        variable.assign(np.abs(values) + 0.5 if positive else values)


def assert_symbolic_equals_eager(layer, inputs, outputs):
    symbolic = layer(*symbolic_like(inputs))
    keras.tree.assert_same_structure(symbolic, outputs)
    leaves = zip(keras.tree.flatten(symbolic), keras.tree.flatten(outputs), strict=True)
    for expected, got in leaves:
        assert tuple(expected.shape) == got.shape
        assert expected.dtype == got.dtype.name


def assert_fixed_sizes_are_known(symbolic, outputs, other_outputs):
    leaves = (keras.tree.flatten(x) for x in (symbolic, outputs, other_outputs))
    for expected, one, other in zip(*leaves, strict=True):
        fixed = [
            a if a == b else None for a, b in zip(one.shape, other.shape, strict=True)
        ]
        assert list(expected.shape) == fixed


def saved_and_loaded(model):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        return keras.models.load_model(path)


def assert_same_weights(layer, expected):
    def described(variables):
        return [(v.path, v.trainable, v.dtype) for v in variables]

    assert described(layer.weights) == described(expected.weights)
    for one, other in zip(layer.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(arrays(one), arrays(other))


def assert_half_precision(make, arguments, inputs, layer, outputs, half):
    halved = make(**arguments, name="checked", dtype="mixed_bfloat16")
    assert (
        type(halved).from_config(halved.get_config()).dtype_policy
        == halved.dtype_policy
    )
    halved(*symbolic_like(inputs))
    halved.set_weights(layer.get_weights())
    assert {v.dtype for v in halved.weights} <= {"float32"}
    got = outputs_of(halved, *inputs)
    assert_symbolic_equals_eager(halved, inputs, got)
    floats = [
        x.dtype.name for x in keras.tree.flatten(got) if x.dtype.kind not in "iub"
    ]
    assert set(floats) == {half}
    assert_close(got, outputs, HALF_TOLERANCE)


def assert_close(got, expected, tolerance=TOLERANCE):
    # A functional model that was loaded returns lists in the places of tuples.
    got, expected = (keras.tree.lists_to_tuples([x]) for x in (got, expected))
    keras.tree.assert_same_structure(got, expected)
    leaves = zip(keras.tree.flatten(got), keras.tree.flatten(expected), strict=True)
    for one, other in leaves:
        assert one.shape == other.shape
        one, other = np.asarray(one, "float32"), np.asarray(other, "float32")
        largest = np.abs(other).max(initial=0.0)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * largest)
