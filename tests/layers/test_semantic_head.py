"""The semantic head and its predictors."""

import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose
from on_backend import arrays, outputs_of

from keras_fpn.layers import SemanticFPNHead, SemanticPredictor, StuffPredictor


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pyramid(batch, *sizes):
    """Maps of P2, P3, ... of these heights and widths, with 4 channels."""
    return {
        f"P{level}": features(batch, *size, 4, seed=level)
        for level, size in enumerate(sizes, start=2)
    }


def test_the_head_keeps_what_a_layer_owes():
    shapes = {f"P{level}": (None, None, None, 4) for level in (2, 3)}
    check_layer(
        SemanticFPNHead,
        {"channels": 6, "norm": None},
        (pyramid(2, (4, 6), (2, 3)),),
        (shapes,),
        (pyramid(1, (5, 8), (3, 4)),),
    )


@pytest.mark.parametrize(
    ("kind", "argument", "classes"),
    [(SemanticPredictor, "num_classes", 3), (StuffPredictor, "num_stuff", 2)],
)
def test_predictors_keep_what_a_layer_owes(kind, argument, classes):
    check_layer(
        kind,
        {argument: classes},
        (features(2, 3, 4, 5),),
        ((None, None, None, 5),),
        (features(1, 2, 6, 5),),
        half="float32",  # logits always are
    )
    assert outputs_of(kind(3), features(1, 2, 2, 5)).shape[-1] == (
        3 if kind is SemanticPredictor else 4
    )


def test_the_papers_head_is_the_default():
    head = SemanticFPNHead()
    assert (head.channels, head.norm) == (128, "group")


def test_each_level_has_a_convolution_for_each_doubling_and_p2_has_one():
    head = SemanticFPNHead(32)
    sizes = [(16, 16), (8, 8), (4, 4), (2, 2)]
    maps = pyramid(1, *sizes)
    head.build({name: value.shape for name, value in maps.items()})
    counts = {name: len(found) for name, found in head.convolutions.items()}
    assert counts == {"P2": 1, "P3": 1, "P4": 2, "P5": 3}
    # 4 or 32 channels to 32, and a scale and an offset for each.
    first, other = 9 * 4 * 32 + 64, 9 * 32 * 32 + 64
    assert head.count_params() == 4 * first + 3 * other
    norm = head.convolutions["P2"][0].group_norm
    assert (norm.groups, norm.epsilon) == (32, 1e-5)


def test_maps_are_convolved_doubled_and_added():
    head = SemanticFPNHead(1, norm=None)
    ones = {"P2": np.ones((1, 4, 4, 1), "float32")}
    ones |= {"P3": np.float32([[0, 8], [0, 8]]).reshape(1, 2, 2, 1)}
    head.build({name: value.shape for name, value in ones.items()})
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[1, 1] = 2.0
    for [convolution] in head.convolutions.values():
        convolution.set_weights([kernel, np.zeros(1, "float32")])
    found = arrays(head(ones))[0, :, :, 0]
    # 2 from P2, and 0 4 12 16 from P3: doubled in value, then in size.
    assert_allclose(found, [[2, 6, 14, 18]] * 4)


def test_levels_of_an_odd_size_are_cut():
    head = SemanticFPNHead(6, norm=None)
    maps = pyramid(1, (5, 7), (3, 4), (2, 2))
    head.build({name: value.shape for name, value in maps.items()})
    randomize(head)
    alone = {**maps, "P3": maps["P3"] * 0, "P4": maps["P4"] * 0}
    found, other = outputs_of(head, maps), outputs_of(head, alone)
    assert found.shape == (1, 5, 7, 6)
    assert np.abs(found - other).max() > 0.1


def test_a_pyramid_without_p2_and_too_many_classes_are_refused():
    with pytest.raises(ValueError, match=r"received a pyramid of \['P3', 'P4'\]"):
        SemanticFPNHead().build({"P3": (1, 4, 4, 4), "P4": (1, 2, 2, 4)})
    for kind, count in ((SemanticPredictor, 256), (StuffPredictor, 255)):
        with pytest.raises(ValueError, match="received 256"):
            kind(count).build((None, 4, 4, 8))
    with pytest.raises(ValueError, match="received 0"):
        SemanticPredictor(0).build((None, 4, 4, 8))
