import keras
import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import ConvNorm, FeaturePyramid, LateralConnection, TopDownMerge


def bottom_up(batch, seed=0, **shapes):
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(size=(batch, *shape)).astype("float32")
        for name, shape in shapes.items()
    }


def identity_pyramid(maps, **options):
    """A pyramid of one channel whose convolutions pass their input on."""
    fpn = FeaturePyramid(1, **options)
    fpn.build({name: value.shape for name, value in maps.items()})
    for lateral in fpn.lateral.values():
        lateral.kernel.assign(np.ones((1, 1, 1, 1)))
    centre = np.zeros((3, 3, 1, 1))
    centre[1, 1] = 1
    for smooth in fpn.smooth.values():
        smooth.kernel.assign(centre)
    return fpn


def test_keeps_what_a_layer_owes():
    check_layer(
        FeaturePyramid,
        {
            "channels": 6,
            "norm": "group",
            "lateral": LateralConnection(6, norm="group", activation="relu"),
            "merge": TopDownMerge("average"),
            "levels": ("P3", "P5"),
            "coarsest": ConvNorm(6, kernel_size=3, norm="group", activation="relu"),
        },
        (bottom_up(2, C3=(8, 12, 2), C4=(4, 6, 3), C5=(2, 3, 4)),),
        ({f"C{level}": (None, None, None, level - 1) for level in (3, 4, 5)},),
        (bottom_up(1, 1, C3=(5, 7, 2), C4=(3, 4, 3), C5=(1, 2, 4)),),
    )


def test_the_papers_pyramid_is_the_default():
    fpn = FeaturePyramid()
    assert (fpn.channels, fpn.norm) == (256, None)
    fpn.build({"C3": (1, 8, 8, 4), "C4": (1, 4, 4, 4)})
    assert [merge.fuse for merge in fpn.merge.values()] == ["sum"]


def test_coarse_level_reaches_the_finer_one_by_nearest_upsampling():
    maps = {
        "C3": np.full((1, 4, 4, 1), 10, "float32"),
        "C4": np.array([[1, 2], [3, 4]], "float32").reshape(1, 2, 2, 1),
    }
    pyramid = outputs_of(identity_pyramid(maps), maps)
    expected = [[11, 11, 12, 12], [11, 11, 12, 12], [13, 13, 14, 14], [13, 13, 14, 14]]
    assert_array_equal(pyramid["P3"][0, :, :, 0], expected)
    assert_array_equal(pyramid["P4"], maps["C4"])


def constant_maps(sides, values):
    return {
        name: np.full((1, side, side, 1), value, "float32")
        for (name, side), value in zip(sides.items(), values, strict=True)
    }


def test_merged_maps_are_handed_down_not_smoothed_ones():
    maps = constant_maps({"C2": 8, "C3": 4, "C4": 2}, (1, 10, 100))
    fpn = identity_pyramid(maps)
    for name in ("C3", "C4"):
        fpn.smooth[name].kernel.assign(np.zeros((3, 3, 1, 1)))
    pyramid = outputs_of(fpn, maps)
    assert_array_equal(pyramid["P2"], np.full((1, 8, 8, 1), 111))
    assert not pyramid["P3"].any()


def test_nothing_goes_up():
    maps = constant_maps({"C2": 8, "C3": 4, "C4": 2}, (1, 10, 100))
    pyramid = outputs_of(identity_pyramid(maps), maps)
    assert_array_equal(pyramid["P4"].ravel(), [100] * 4)
    assert_array_equal(pyramid["P3"].ravel(), [110] * 16)


def test_average_halves_at_every_merge():
    maps = constant_maps({"C2": 8, "C3": 4, "C4": 2}, (1, 10, 100))
    pyramid = outputs_of(identity_pyramid(maps, merge=TopDownMerge("average")), maps)
    assert_array_equal(pyramid["P3"].ravel(), [55] * 16)  # (10 + 100) / 2
    assert_array_equal(pyramid["P2"].ravel(), [28] * 64)  # (1 + 55) / 2


def test_levels_go_by_number_where_letters_say_otherwise():
    maps = constant_maps({"C10": 2, "C8": 8, "C9": 4}, (100, 1, 10))
    pyramid = outputs_of(identity_pyramid(maps), maps)
    sums = {name: value.max() for name, value in pyramid.items()}
    assert sums == {"P8": 111, "P9": 110, "P10": 100}


def test_odd_sizes_fit():
    maps = constant_maps({"C3": 7, "C4": 4, "C5": 2}, (1, 10, 100))
    pyramid = outputs_of(identity_pyramid(maps), maps)
    assert_array_equal(pyramid["P3"], np.full((1, 7, 7, 1), 111))


def test_one_level_is_lateral_and_smoothing_alone():
    maps = constant_maps({"C5": 3}, (7,))
    assert_array_equal(outputs_of(identity_pyramid(maps), maps)["P5"], maps["C5"])


def test_every_convolution_has_its_name_and_norm():
    fpn = FeaturePyramid(4, norm="batch", name="neck")
    fpn.build({"C3": (None, 8, 8, 2), "C4": (None, 4, 4, 3)})
    paths = {v.path for v in fpn.weights if v.name != "kernel"}
    parts = ("lateral_C3", "lateral_C4", "smooth_C3", "smooth_C4")
    vectors = ("gamma", "beta", "moving_mean", "moving_variance")
    assert paths == {f"neck/{part}/{name}" for part in parts for name in vectors}


def test_live_norms_learn_statistics_in_training_only():
    maps = bottom_up(2, C3=(4, 4, 2), C4=(2, 2, 3))
    fpn = FeaturePyramid(4, norm="batch")
    fpn(maps, training=False)
    assert not arrays(fpn.lateral["C3"].moving_mean).any()
    fpn(maps, training=True)
    for layer in (*fpn.lateral.values(), *fpn.smooth.values()):
        assert arrays(layer.moving_mean).any(), layer.name


def test_gradient_of_the_finest_level_reaches_every_lateral():
    maps = bottom_up(2, C3=(8, 8, 2), C4=(4, 4, 3), C5=(2, 2, 4))
    inputs = {name: keras.Input(maps[name].shape[1:], name=name) for name in maps}
    fpn = FeaturePyramid(4)
    model = keras.Model(inputs, fpn(inputs))
    layers = [*fpn.lateral.values(), *fpn.smooth.values()]
    before = [arrays(layer.kernel) for layer in layers]
    weights = {"P3": 1.0, "P4": 0.0, "P5": 0.0}
    losses = dict.fromkeys(weights, "mse")
    model.compile(keras.optimizers.SGD(1.0), losses, loss_weights=weights)
    sides = {"P3": 8, "P4": 4, "P5": 2}
    ones = {name: np.ones((2, side, side, 4)) for name, side in sides.items()}
    model.train_on_batch(maps, ones)
    moved = [
        layer.name
        for layer, kernel in zip(layers, before, strict=True)
        if (arrays(layer.kernel) != kernel).any()
    ]
    assert sorted(moved) == ["lateral_C3", "lateral_C4", "lateral_C5", "smooth_C3"]


def test_scaling_the_maps_scales_the_pyramid():
    maps = bottom_up(1, C3=(6, 5, 2), C4=(3, 3, 3))
    keras.utils.set_random_seed(0)
    fpn = FeaturePyramid(4)
    one = outputs_of(fpn, maps)
    doubled = outputs_of(fpn, {name: 2 * value for name, value in maps.items()})
    for name in one:  # no activation anywhere
        assert_allclose(doubled[name], 2 * one[name], rtol=1e-4, atol=1e-5)


def test_gap_in_levels_is_refused():
    with pytest.raises(ValueError, match=r"missing level \[4\]"):
        FeaturePyramid().build({"C3": (1, 8, 8, 4), "C5": (1, 2, 2, 4)})


def test_no_level_is_refused():
    with pytest.raises(ValueError, match=r"at least one level; received names=\[\]"):
        FeaturePyramid().build({})


def test_an_unknown_norm_is_refused_when_built():
    with pytest.raises(ValueError, match="received norm='layer'"):
        FeaturePyramid(norm="layer").build({"C3": (1, 8, 8, 4)})


def test_fuse_is_refused_with_what_it_became():
    with pytest.raises(ValueError, match=r"fuse='average'. Use merge=TopDownMerge\("):
        FeaturePyramid(8, fuse="average")


def test_a_lateral_connection_of_other_channels_is_refused():
    fpn = FeaturePyramid(8, lateral=LateralConnection(4))
    with pytest.raises(ValueError, match=r"lateral_C3 of 4 channels .* channels=8"):
        fpn.build({"C3": (1, 8, 8, 3)})


def test_a_saved_fuse_becomes_a_merge():
    config = {"channels": 2, "norm": None, "fuse": "average"}
    again = FeaturePyramid.from_config(config)
    assert again.get_config()["merge"]["config"]["fuse"] == "average"
    plain = FeaturePyramid.from_config({**config, "fuse": "sum"})
    assert plain.get_config()["merge"] is None


@keras.saving.register_keras_serializable(package="tests")
class WeightedMerge(keras.layers.Layer):
    """Adds the coarser map times a weight of the level's own."""

    def build(self, lateral_shape, coarser_shape):
        assert lateral_shape[-1] == coarser_shape[-1] == 1
        self.weight = self.add_weight(shape=(), initializer="ones", name="weight")

    def call(self, lateral, coarser):
        upsampled = keras.ops.repeat(keras.ops.repeat(coarser, 2, axis=1), 2, axis=2)
        return lateral + self.weight * upsampled


def test_each_level_has_a_merge_and_a_lateral_of_its_own():
    maps = constant_maps({"C2": 8, "C3": 4, "C4": 2}, (1, 10, 100))
    lateral = LateralConnection(1, activation="relu")
    fpn = identity_pyramid(maps, merge=WeightedMerge(), lateral=lateral)
    assert set(fpn.merge) == {"C2", "C3"}
    assert set(fpn.lateral) == {"C2", "C3", "C4"}
    assert not lateral.built
    fpn.merge["C3"].weight.assign(2.0)
    fpn.lateral["C2"].kernel.assign(-np.ones((1, 1, 1, 1)))  # and ReLU: 0
    pyramid = outputs_of(fpn, maps)
    assert_array_equal(pyramid["P3"].ravel(), [210] * 16)
    assert_array_equal(pyramid["P2"].ravel(), [210] * 64)


def test_live_norms_use_what_they_stored_unless_trained():
    maps = bottom_up(2, C3=(4, 6, 1), C4=(2, 3, 1))
    fpn = FeaturePyramid(2, norm="batch")
    fpn.build({name: value.shape for name, value in maps.items()})
    norms = [*fpn.lateral.values(), *fpn.smooth.values()]
    fpn(maps)
    assert not any(arrays(norm.moving_mean).any() for norm in norms)
    fpn(maps, training=True)
    assert all(arrays(norm.moving_mean).any() for norm in norms)


def test_only_the_levels_asked_for_are_smoothed_and_returned():
    maps = constant_maps({"C2": 8, "C3": 4, "C4": 2}, (1, 10, 100))
    fpn = identity_pyramid(maps, levels=["P2"])
    pyramid = outputs_of(fpn, maps)
    assert list(pyramid) == ["P2"]
    assert_array_equal(pyramid["P2"], np.full((1, 8, 8, 1), 111))
    assert list(fpn.smooth) == ["C2"]


@pytest.mark.parametrize("levels", [("P5",), ("P2", "C3"), ()])
def test_levels_that_the_pyramid_lacks_are_named(levels):
    maps = constant_maps({"C2": 8, "C3": 4}, (1, 10))
    with pytest.raises(ValueError, match=r"\['P2', 'P3'\]; received levels="):
        FeaturePyramid(1, levels=levels).build({n: m.shape for n, m in maps.items()})


def test_the_coarsest_map_can_be_made_by_a_layer_alone():
    maps = constant_maps({"C2": 8, "C3": 4, "C4": 2}, (1, 10, 100))
    coarsest = ConvNorm(1, kernel_initializer="ones", activation="relu6")
    fpn = identity_pyramid(maps, coarsest=coarsest)
    assert set(fpn.smooth) == {"C2", "C3"}
    assert (fpn.lateral["C4"].name, coarsest.built) == ("coarsest_C4", False)
    pyramid = outputs_of(fpn, maps)
    assert_array_equal(pyramid["P4"].ravel(), [6] * 4)  # relu6, not smoothed
    assert_array_equal(pyramid["P3"].ravel(), [16] * 16)
    assert_array_equal(pyramid["P2"].ravel(), [17] * 64)


@pytest.mark.parametrize(
    "levels", [("C3", "C4"), ("C2", "C3"), ("C2", "C3", "C4", "C5")]
)
def test_other_levels_than_it_was_built_with_are_refused(levels):
    sides = {"C2": 16, "C3": 8, "C4": 4, "C5": 2}
    fpn = FeaturePyramid(4)
    fpn.build({name: (1, sides[name], sides[name], 1) for name in ("C2", "C3", "C4")})
    maps = constant_maps({name: sides[name] for name in levels}, range(len(levels)))
    message = rf"built, \['C2', 'C3', 'C4'\]; received \{list(levels)}"
    with pytest.raises(ValueError, match=message):
        fpn(maps)
    with pytest.raises(ValueError, match=message):
        fpn({name: keras.Input(value.shape[1:]) for name, value in maps.items()})
