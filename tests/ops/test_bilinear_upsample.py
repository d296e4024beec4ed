"""Upsampling by whole factors, at once and by phases, beside the general resizing."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from on_backend import compiled, gradient

from keras_fpn.ops.bilinear_resize import bilinear_resize_portable
from keras_fpn.ops.bilinear_upsample import (
    bilinear_upsample,
    bilinear_upsample_portable,
    phase_along,
    phase_gradient,
    phases_along,
    shares,
)


def maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_a_row_is_doubled_by_hand():
    row = np.float32([0, 4, 8]).reshape(1, 1, 3, 1)
    # Centers are a quarter of a cell beside the old ones; the border is repeated.
    expected = np.float32([0, 1, 3, 5, 7, 8])
    doubled = compiled(lambda x: bilinear_upsample(x, 2), row)
    assert_allclose(doubled[0, :, :, 0], [expected, expected])


@pytest.mark.parametrize("factor", [2, 4])
def test_it_is_resizing_to_a_multiple_of_the_size(factor):
    inputs = maps(2, 5, 1, 3)

    def both(inputs):
        return (
            bilinear_upsample(inputs, factor),
            bilinear_upsample_portable(inputs, factor),
            bilinear_resize_portable(inputs, 5 * factor, factor),
        )

    own, portable, general = compiled(both, inputs)
    assert_allclose(own, general, atol=1e-5)
    assert_allclose(portable, general, atol=1e-5)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_phase_that_is_chosen_late_is_the_same_with_its_derivative(axis):
    inputs, weights, late = maps(1, 3, 4, 2), maps(4, 1, 3, 4, 2), shares(4)
    found, gradients, wanted = compiled(
        lambda x, w: (
            [phase_along(x, share, axis) for share in late],
            [phase_gradient(w[n], share, axis) for n, share in enumerate(late)],
            phases_along(x, 4, axis),
        ),
        inputs,
        weights,
    )
    assert_allclose(found, wanted, atol=1e-6)

    def weighted(inputs):
        phases = phases_along(inputs, 4, axis)
        return sum(p * w for p, w in zip(phases, weights, strict=True))

    assert_allclose(np.sum(gradients, axis=0), gradient(weighted, inputs), atol=1e-5)
