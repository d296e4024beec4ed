"""The head of segmentation proposals: everywhere, and at chosen cells alike."""

import keras
import numpy as np
import pytest
from layer_checks import check_layer, randomize
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, outputs_of

from keras_fpn.layers import SegmentHead
from keras_fpn.layers.segment_head import scores_and_masks

SMALL = {"kernel_sizes": (3, 5), "channels": 4, "mask_size": 3}
SIZES = {"P9": (5, 4), "P10": (3, 2)}  # by name P10 comes first


def pyramid(batch=2, sizes=SIZES, channels=3, seed=0):
    draw = np.random.default_rng(seed)
    return {
        name: draw.normal(size=(batch, *size, channels)).astype("float32")
        for name, size in sizes.items()
    }


def built_head(**arguments):
    head = SegmentHead(**{**SMALL, **arguments})
    head(pyramid())
    randomize(head)
    return head


SHAPES = dict.fromkeys(SIZES, (None, None, None, 3))
OTHER = {"P9": (4, 6), "P10": (2, 3)}


def test_keeps_what_a_layer_owes_everywhere():
    check_layer(
        SegmentHead,
        {"kernel_sizes": (3, 5, 1), "channels": 4, "mask_size": 2},
        (pyramid(),),
        (SHAPES,),
        (pyramid(1, OTHER, seed=1),),
    )


def test_keeps_what_a_layer_owes_at_chosen_cells():
    draw = np.random.default_rng(2)
    chosen = [
        draw.integers(0, 2 * 26, (batch, 6)).astype("float32") for batch in (2, 1)
    ]
    check_layer(
        SegmentHead,
        SMALL,
        (pyramid(), chosen[0]),
        (SHAPES, (None, 6)),
        (pyramid(1, OTHER, seed=1), chosen[1]),
    )


def by_a_loop(head, maps, index):
    """The score and the mask at a window, from the numbers of the head's kernels."""
    scales, start = len(head.kernel_sizes), 0
    for name in ("P9", "P10"):
        height, width = maps[name].shape[1:3]
        if index < start + height * width * scales:
            break
        start += height * width * scales
    cell, scale = divmod(index - start, scales)
    y, x = divmod(cell, width)
    size = head.kernel_sizes[scale]
    hidden, score, mask = head.predictors[scale]
    margin = size // 2
    padded = np.pad(maps[name], ((0, 0), (margin,) * 2, (margin,) * 2, (0, 0)))
    patch = padded[:, y : y + size, x : x + size]
    features = np.einsum("byxc,yxcd->bd", patch, arrays(hidden.kernel))
    features = np.maximum(features + arrays(hidden.bias), 0)
    one, many = (
        features @ arrays(layer.kernel)[0, 0] + arrays(layer.bias)
        for layer in (score, mask)
    )
    return one[:, 0], many.reshape(-1, head.mask_size, head.mask_size)


def test_scores_and_masks_are_what_a_loop_over_windows_computes():
    head, maps = built_head(), pyramid()
    count = 2 * (20 + 6)
    everywhere = outputs_of(head, maps)
    assert everywhere.shape == (2, count)
    indices = np.tile(np.arange(count), (2, 1))
    scores, masks = outputs_of(lambda *x: scores_and_masks(head(*x)), maps, indices)
    for index in range(count):
        score, mask = by_a_loop(head, maps, index)
        assert_allclose(everywhere[:, index], score, rtol=1e-4, atol=1e-5)
        assert_allclose(scores[:, index], score, rtol=1e-4, atol=1e-5)
        assert_allclose(masks[:, index], mask, rtol=1e-4, atol=1e-5)


def test_each_image_has_its_own_cells_in_any_order():
    head, maps = built_head(), pyramid()
    everywhere = outputs_of(head, maps)
    indices = np.array([[51, 0, 7, 7], [3, 40, 39, 1]])
    scores, _ = outputs_of(lambda *x: scores_and_masks(head(*x)), maps, indices)
    expected = np.take_along_axis(everywhere, indices, axis=1)
    assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.tensorflow_only
def test_gradients_at_chosen_cells_are_those_of_the_scores_everywhere():
    import tensorflow as tf

    head, maps = built_head(), pyramid()
    indices = np.array([[51, 0, 7, 30], [3, 40, 39, 1]])
    found = []
    for chosen in (True, False):
        with tf.GradientTape() as tape:
            if chosen:
                scores = scores_and_masks(head(maps, indices))[0]
            else:
                scores = tf.gather(head(maps), indices, axis=1, batch_dims=1)
            total = tf.reduce_sum(scores**2)
        weights = [v.value for v in head.trainable_variables if "mask" not in v.path]
        found.append([arrays(g) for g in tape.gradient(total, weights)])
    assert len(found[0]) == 8  # kernel and bias, hidden and score, of two scales
    for one, other in zip(*found, strict=True):
        assert np.abs(one).max() > 0
        assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_hidden_units_are_rectified_and_predictors_start_near_zero():
    keras.utils.set_random_seed(0)
    head = SegmentHead(channels=64)
    head.build({"P3": (None, 4, 4, 32)})
    assert [hidden.kernel.shape for hidden, _, _ in head.predictors] == [
        (5, 5, 32, 64),
        (7, 7, 32, 64),
    ]
    for hidden, score, mask in head.predictors:
        assert hidden.activation is keras.activations.relu
        assert mask.kernel.shape == (1, 1, 64, 14 * 14)
        for layer in (score, mask):
            assert_allclose(arrays(layer.kernel).std(), 0.01, rtol=0.3)
            assert not arrays(layer.bias).any()


def test_predictions_are_split_into_score_and_mask():
    predictions = np.arange(10).reshape(1, 1, 10)
    scores, masks = outputs_of(scores_and_masks, predictions)
    assert_array_equal(scores, [[0]])
    assert_array_equal(masks, [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]])


@pytest.mark.parametrize("sizes", [(5, 4), ()])
def test_kernels_must_have_a_center(sizes):
    with pytest.raises(ValueError, match=r"all odd.*received kernel_sizes=\("):
        SegmentHead(kernel_sizes=sizes)
