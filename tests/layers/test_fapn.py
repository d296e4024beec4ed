import keras
import numpy as np
import pytest
from layer_checks import randomize
from numpy.testing import assert_allclose
from on_backend import arrays, compiled, outputs_of

from keras_fpn.layers import FeatureAlign, FeatureSelection, fapn


def bottom_up(batch=2, seed=0):
    generator = np.random.default_rng(seed)
    shapes = {"C3": (6, 8, 4), "C4": (3, 4, 6), "C5": (2, 2, 8)}
    return {
        name: generator.normal(size=(batch, *shape)).astype("float32")
        for name, shape in shapes.items()
    }


def test_it_is_selection_alignment_and_smoothing_but_for_the_coarsest_level():
    maps = bottom_up()
    neck = fapn(8)
    neck.build({name: value.shape for name, value in maps.items()})
    randomize(neck)
    got = outputs_of(neck, maps)
    p5 = arrays(neck.lateral["C5"](maps["C5"]))
    assert_allclose(got["P5"], p5, atol=1e-4)
    merged = p5
    for level in (4, 3):
        name = f"C{level}"
        assert isinstance(neck.lateral[name], FeatureSelection)
        assert isinstance(neck.merge[name], FeatureAlign)
        merged = neck.merge[name](neck.lateral[name](maps[name]), merged)
        smoothed = arrays(neck.smooth[name](merged))
        assert_allclose(got[f"P{level}"], smoothed, rtol=1e-4, atol=1e-3)


def test_the_papers_sizes_are_the_default():
    neck = fapn()
    channels = {"C2": 256, "C3": 512, "C4": 1024, "C5": 2048}
    neck.build({name: (1, 32, 32, count) for name, count in channels.items()})
    # FaPN's code for a ResNet-50 has as many.
    assert neck.count_params() == 7_786_888
    assert {merge.deformable_groups for merge in neck.merge.values()} == {8}
    norms = {layer.norm for layer in (*neck.smooth.values(), *neck.lateral.values())}
    assert norms == {None}


@pytest.mark.parametrize("norm", ["group", "frozen_batch"])
def test_norms_are_where_fapn_has_them(norm):
    neck = fapn(8, norm)
    neck.build({name: value.shape for name, value in bottom_up().items()})
    assert {smooth.norm for smooth in neck.smooth.values()} == {norm}
    assert {merge.compare.norm for merge in neck.merge.values()} == {norm}
    assert {lateral.norm for lateral in neck.lateral.values()} == {None}
    assert neck.lateral["C5"].bias is not None


def test_start_of_the_coarsest_level_is_uniform_within_one_by_its_root():
    keras.utils.set_random_seed(0)
    neck = fapn(64)
    neck.build({"C5": (1, 2, 2, 64)})
    kernel = arrays(neck.lateral["C5"].kernel)
    assert 0.95 / 8 < np.abs(kernel).max() < 1.001 / 8


def test_gradients_of_the_finest_map_reach_every_weight_but_the_others_smoothing():
    maps = bottom_up(1)
    neck = fapn(8)
    neck.build({name: value.shape for name, value in maps.items()})
    randomize(neck)
    inputs = {name: keras.Input(maps[name].shape[1:], name=name) for name in maps}
    model = keras.Model(inputs, neck(inputs))
    before = [arrays(weight) for weight in neck.trainable_weights]
    weights = {"P3": 1.0, "P4": 0.0, "P5": 0.0}
    losses = dict.fromkeys(weights, "mse")
    model.compile(keras.optimizers.SGD(1.0), losses, loss_weights=weights)
    ones = {
        name: np.ones(value.shape) for name, value in outputs_of(neck, maps).items()
    }
    model.train_on_batch(maps, ones)
    pairs = zip(neck.trainable_weights, before, strict=True)
    unmoved = [
        weight.path.split("/", 1)[1]
        for weight, old in pairs
        if (arrays(weight) == old).all()
    ]
    assert sorted(unmoved) == ["smooth_C4/bias", "smooth_C4/kernel"]


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_xla_compiles_it():
    import tensorflow as tf

    maps = bottom_up()
    neck = fapn(8)
    neck.build({name: value.shape for name, value in maps.items()})
    randomize(neck)
    expected = compiled(neck, maps)
    got = tf.function(neck, jit_compile=True)(maps)
    for name in expected:
        assert_allclose(got[name], expected[name], rtol=1e-3, atol=1e-3)


def test_the_dtype_is_that_of_all_its_layers():
    neck = fapn(8, dtype="mixed_bfloat16", name="neck")
    pyramid = outputs_of(neck, bottom_up())
    assert neck.name == "neck"
    assert {value.dtype.name for value in pyramid.values()} == {"bfloat16"}
    layers = neck._flatten_layers(include_self=False)
    assert {layer.compute_dtype for layer in layers} == {"bfloat16"}


def test_its_config_makes_it_again():
    neck = fapn(8, "group", 4)
    again = type(neck).from_config(neck.get_config())
    for one in (neck, again):
        one.build({name: value.shape for name, value in bottom_up().items()})
    randomize(neck)
    again.set_weights(neck.get_weights())
    expected = outputs_of(neck, bottom_up())
    got = outputs_of(again, bottom_up())
    for name in expected:
        assert_allclose(got[name], expected[name], atol=1e-5)
    assert again.merge["C3"].deform.deformable_groups == 4


def test_channels_that_eight_does_not_divide_raise_with_the_remedy():
    with pytest.raises(
        ValueError, match=r"deformable_groups=8 for 12 .* Use a divisor"
    ):
        fapn(12).build({"C3": (1, 4, 4, 3), "C4": (1, 2, 2, 3)})


def test_levels_that_the_backbone_lacks_raise():
    shapes = {"C3": (1, 4, 4, 3), "C4": (1, 2, 2, 3)}
    with pytest.raises(ValueError, match=r"\['P3', 'P4'\]; received levels=\('P2',"):
        fapn(8, levels=("P2", "P3")).build(shapes)
    neck = fapn(8, levels=("P3",))
    neck.build(shapes)
    assert list(neck.compute_output_shape(shapes)) == ["P3"]
