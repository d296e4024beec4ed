import keras
import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import ConvolvedLevels, SubsampledLevel


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pyramid_of(batch, height, width, seed=0):
    return {
        "P4": maps(batch, 2 * height, 2 * width, 3, seed=seed),
        "P5": maps(batch, height, width, 3, seed=seed + 1),
    }


FREE = {"P4": (None, None, None, 3), "P5": (None, None, None, 3)}


def test_subsampling_keeps_what_a_layer_owes():
    inputs, others = pyramid_of(2, 5, 4), pyramid_of(1, 3, 7)
    check_layer(SubsampledLevel, {}, (inputs,), (FREE,), (others,))


def test_convolving_keeps_what_a_layer_owes():
    inputs, others = pyramid_of(2, 5, 4), pyramid_of(1, 3, 7)
    check_layer(ConvolvedLevels, {"channels": 6}, (inputs,), (FREE,), (others,))


def test_convolving_another_map_keeps_what_a_layer_owes():
    check_layer(
        ConvolvedLevels,
        {"channels": 6},
        (pyramid_of(2, 5, 4), maps(2, 5, 4, 8)),
        (FREE, (None, None, None, 8)),
        (pyramid_of(1, 3, 7), maps(1, 3, 7, 8)),
    )


@pytest.mark.parametrize(
    ("cells", "kept"), [(6, [0, 2, 4]), (5, [0, 2, 4]), (2, [0]), (1, [0])]
)
def test_every_second_cell_from_the_first_is_kept(cells, kept):
    row = np.arange(cells, dtype="float32")
    wide = {"P5": np.tile(row, (1, 3, 1))[..., None]}  # 3 rows
    high = {"P5": np.tile(row[:, None], (1, 1, 3))[..., None]}  # 3 columns
    added = outputs_of(SubsampledLevel(), wide)["P6"]
    assert_array_equal(added[0, :, :, 0], [kept, kept])
    added = outputs_of(SubsampledLevel(), high)["P6"]
    assert_array_equal(added[0, :, :, 0], np.transpose([kept, kept]))


def test_subsampling_leaves_the_pyramid_as_it_is():
    pyramid = pyramid_of(2, 4, 4)
    got = outputs_of(SubsampledLevel(), pyramid)
    assert set(got) == {"P4", "P5", "P6"}
    assert_array_equal(got["P4"], pyramid["P4"])
    assert_array_equal(got["P5"], pyramid["P5"])


def test_the_coarsest_level_is_found_by_number():
    pyramid = {"P10": maps(1, 4, 4, 1), "P9": maps(1, 8, 8, 1)}
    got = outputs_of(SubsampledLevel(), pyramid)
    assert_array_equal(got["P11"], pyramid["P10"][:, ::2, ::2])
    assert set(outputs_of(ConvolvedLevels(1), pyramid)) == {"P9", "P10", "P11", "P12"}


def summing_levels(pyramid, source=None):
    """Added levels of one channel whose convolutions sum 3 x 3 cells."""
    layer = ConvolvedLevels(1)
    layer(pyramid, source)
    for convolution in layer.convolutions.values():
        convolution.kernel.assign(np.ones(convolution.kernel.shape))
    return layer


def test_convolutions_halve_with_a_relu_between():
    cells = np.array([[1, 2, 3], [4, 5, 6], [7, 8, -90]], "float32")
    pyramid = {"P5": cells.reshape(1, 3, 3, 1)}
    layer = summing_levels(pyramid)
    layer.convolutions["P7"].bias.assign([0.5])
    got = outputs_of(layer, pyramid)
    # Around (0, 0): 1 + 2 + 4 + 5; (0, 2): 2 + 3 + 5 + 6; (2, 0): 4 + 5 + 7 + 8;
    # (2, 2): 5 + 6 + 8 - 90, negative: P6 keeps it, P7 does not see it.
    assert_array_equal(got["P6"][0, :, :, 0], [[12, 16], [24, -71]])
    assert_array_equal(got["P7"][0, :, :, 0], [[12 + 16 + 24 + 0.5]])
    assert_array_equal(got["P5"], pyramid["P5"])


def test_convolutions_may_start_from_another_map():
    pyramid = {"P5": maps(1, 2, 2, 1)}
    source = np.full((1, 2, 2, 3), 2, "float32")
    layer = summing_levels(pyramid, source)
    got = outputs_of(layer, pyramid, source)
    assert_array_equal(got["P6"].ravel(), [2 * 3 * 4])  # 3 channels of 4 cells
    assert layer.convolutions["P6"].kernel.shape == (3, 3, 3, 1)


def test_the_papers_channels_are_the_default():
    assert ConvolvedLevels().channels == 256


def test_both_start_uniform_within_the_square_root_of_three_by_the_inputs():
    keras.utils.set_random_seed(0)
    layer = ConvolvedLevels(32)
    layer.build({"P5": (None, 4, 4, 32)})
    limit = np.sqrt(3 / (9 * 32))
    for convolution in layer.convolutions.values():
        kernel = arrays(convolution.kernel)
        assert 0.95 * limit < np.abs(kernel).max() < 1.001 * limit
        assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.05)


def test_a_graph_may_give_the_other_map_by_name():
    pyramid = {"P5": keras.Input((None, None, 2))}
    source = keras.Input((None, None, 8))
    added = ConvolvedLevels(4)(pyramid, source=source)
    assert added["P7"].shape == (None, None, None, 4)


@pytest.mark.parametrize("layer", [SubsampledLevel(), ConvolvedLevels(2)])
def test_a_pyramid_with_a_gap_is_refused(layer):
    with pytest.raises(ValueError, match=r"missing level \[4\]"):
        layer({"P3": maps(1, 8, 8, 2), "P5": maps(1, 2, 2, 2)})
