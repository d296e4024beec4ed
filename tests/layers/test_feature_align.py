import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose
from on_backend import arrays, outputs_of

from keras_fpn.layers import FeatureAlign


def a_map(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("norm", ["frozen_batch", "batch", "group"])
def test_keeps_what_a_layer_owes(norm):
    check_layer(
        FeatureAlign,
        {"channels": 4, "norm": norm, "deformable_groups": 2, "use_bias": True},
        (a_map(0, 2, 5, 7, 4), a_map(1, 2, 3, 4, 4)),
        ((None, None, None, 4), (None, None, None, 4)),
        (a_map(2, 1, 4, 6, 4), a_map(3, 1, 2, 3, 4)),
    )


def identity_align(**options):
    """A layer of one channel whose deformable kernel passes the middle cell on."""
    layer = FeatureAlign(1, deformable_groups=1, **options)
    layer.build((1, 1, 4, 1), (1, 1, 2, 1))
    middle = np.zeros((3, 3, 1, 1))
    middle[1, 1] = 2  # masks start at one half
    layer.deform.kernel.assign(middle)
    return layer


LATERAL = np.array([1, 2, 3, 4], "float32").reshape(1, 1, 4, 1)
COARSER = np.array([4, 8], "float32").reshape(1, 1, 2, 1)


def test_without_offsets_the_upsampled_map_is_added():
    # Cells of the coarser map have centers at 0.5 and 2.5 of the finer one's cells.
    got = outputs_of(identity_align(), LATERAL, COARSER)
    assert_allclose(got[0, 0, :, 0], [1 + 4, 2 + 5, 3 + 7, 4 + 8], rtol=1e-5)


def test_what_is_aligned_passes_a_relu_and_the_lateral_map_does_not():
    got = outputs_of(identity_align(), -LATERAL, -COARSER)
    assert_allclose(got[0, 0, :, 0], [-1, -2, -3, -4])


def test_offsets_come_from_the_lateral_and_twice_the_upsampled_map():
    # compare = 10 * lateral - 5 * (2 * upsampled); where the two are equal it is 0.
    layer = identity_align()
    layer.compare.kernel.assign(np.array([10.0, -5.0]).reshape(1, 1, 2, 1))
    middle = np.zeros((3, 3, 1, 27))
    middle[1, 1, 0, 9] = 0.1  # offset x of the middle position
    layer.deform.predict_points.kernel.assign(middle)
    lateral = np.array([5, 5, 6, 8], "float32").reshape(1, 1, 4, 1)
    # Upsampled: 4, 5, 7, 8. Offsets: 1, 0, -1, 0. Read: 5, 5, 5, 8.
    got = outputs_of(layer, lateral, COARSER)
    assert_allclose(got[0, 0, :, 0], [10, 10, 11, 16], rtol=1e-5)


@pytest.mark.parametrize("norm", [None, "group", "frozen_batch"])
def test_convolving_before_upsampling_is_the_same(norm):
    keras.utils.set_random_seed(0)
    lateral, coarser = a_map(0, 2, 6, 5, 8), a_map(1, 2, 3, 3, 8)
    layer = FeatureAlign(8, norm)
    layer.build(lateral.shape, coarser.shape)
    randomize(layer)
    # A map of the lateral's size is not resized.
    upsampled = keras.ops.image.resize(coarser, (6, 5), antialias=False)
    one = outputs_of(layer.compare, (lateral, coarser))
    two = outputs_of(layer.compare, (lateral, arrays(upsampled)))
    assert np.abs(one).max() > 0.5
    assert_allclose(one, two, atol=1e-4)


def test_there_is_no_bias_in_the_comparison_unless_asked_for():
    assert identity_align().compare.bias is None
    assert identity_align(use_bias=True).compare.bias is not None


def test_statistics_of_a_norm_are_learned_in_training_only():
    layer = FeatureAlign(8, "batch")
    maps = a_map(0, 2, 4, 4, 8), a_map(1, 2, 2, 2, 8)
    layer(*maps)
    assert not arrays(layer.compare.moving_mean).any()
    layer(*maps, training=True)
    assert arrays(layer.compare.moving_mean).any()


def test_groups_that_do_not_divide_the_channels_raise():
    with pytest.raises(ValueError, match="deformable_groups=8 for 12 channels"):
        FeatureAlign(12).build((1, 4, 4, 12), (1, 2, 2, 12))


def test_another_norm_raises():
    with pytest.raises(ValueError, match="received norm='layer'"):
        FeatureAlign(8, "layer").build((1, 4, 4, 8), (1, 2, 2, 8))
