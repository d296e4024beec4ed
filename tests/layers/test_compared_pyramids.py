import keras
import numpy as np
import pytest
from layer_checks import check_layer
from numpy.testing import assert_array_equal
from on_backend import outputs_of

from keras_fpn.layers import FeaturePyramid, NoTopDown, SingleMap, TopDownWithoutLateral

SHAPES = {"C3": (8, 12, 2), "C4": (4, 6, 3), "C5": (2, 3, 4)}
SMALL = {"C3": (5, 7, 2), "C4": (3, 4, 3), "C5": (1, 2, 4)}
FREE = ({f"C{level}": (None, None, None, level - 1) for level in (3, 4, 5)},)


def bottom_up(batch, shapes):
    generator = np.random.default_rng(batch)
    return {
        name: generator.normal(size=(batch, *shape)).astype("float32")
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (SingleMap, {"level": "C4"}),
        (TopDownWithoutLateral, {"channels": 6, "norm": "group"}),
    ],
)
def test_keeps_what_a_layer_owes(kind, arguments):
    maps = (bottom_up(2, SHAPES),)
    check_layer(kind, arguments, maps, FREE, (bottom_up(1, SMALL),))


def test_keeps_what_a_merge_owes():
    maps = bottom_up(2, {"C3": (8, 12, 3), "C4": (4, 6, 3)})
    small = bottom_up(1, {"C3": (5, 7, 3), "C4": (3, 4, 3)})
    free = ((None, None, None, 3),) * 2
    check_layer(NoTopDown, {}, tuple(maps.values()), free, tuple(small.values()))


def test_a_single_map_is_passed_on_as_it_is():
    maps = bottom_up(2, SHAPES)
    pyramid = outputs_of(SingleMap("C4"), maps)
    assert list(pyramid) == ["P4"]
    assert_array_equal(pyramid["P4"], maps["C4"])


def test_a_level_that_the_backbone_lacks_is_named():
    received = r"\['C3', 'C4', 'C5'\]; received level='C6'"
    with pytest.raises(ValueError, match=received):
        SingleMap("C6")(bottom_up(1, SHAPES))


def _ones(layer):
    """Makes the convolutions of a layer of one channel pass their input on."""
    for weight in layer.weights:
        if weight.name == "kernel":
            kernel = np.zeros(weight.shape, "float32")
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
            weight.assign(kernel)
    return layer


MAPS = {
    "C3": np.full((1, 4, 4, 1), 10, "float32"),
    "C4": np.array([[1, 2], [3, 4]], "float32").reshape(1, 2, 2, 1),
}
COARSE = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_without_the_top_down_pathway_each_map_stays_alone():
    neck = FeaturePyramid(1, merge=NoTopDown())
    neck.build({name: value.shape for name, value in MAPS.items()})
    pyramid = outputs_of(_ones(neck), MAPS)
    assert_array_equal(pyramid["P3"], MAPS["C3"])
    assert_array_equal(pyramid["P4"], MAPS["C4"])


def test_without_lateral_connections_the_coarsest_map_is_everywhere():
    neck = TopDownWithoutLateral(1)
    neck.build({name: value.shape for name, value in MAPS.items()})
    pyramid = outputs_of(_ones(neck), MAPS)
    assert_array_equal(pyramid["P3"][0, :, :, 0], COARSE)
    assert_array_equal(pyramid["P4"], MAPS["C4"])


def test_without_lateral_connections_finer_maps_give_only_their_size():
    neck = TopDownWithoutLateral(1)
    other = {**MAPS, "C3": MAPS["C3"] * 7}
    neck(MAPS)
    for name, value in outputs_of(neck, other).items():
        assert_array_equal(value, outputs_of(neck, MAPS)[name])


def test_norms_are_trained():
    neck = TopDownWithoutLateral(4, norm="batch")
    neck(bottom_up(2, SHAPES), training=True)
    moving = [w for w in neck.weights if w.name == "moving_mean"]
    assert len(moving) == 4  # of the reduction and three smoothing convolutions
    assert all(keras.ops.any(w != 0) for w in moving)
