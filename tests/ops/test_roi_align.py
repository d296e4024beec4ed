import keras
import numpy as np
import pytest
from keras import ops
from on_backend import arrays, compiled, outputs_of

from keras_fpn.ops.roi_align import roi_align, roi_align_portable

# Elsewhere than on TensorFlow the portable form is the one that is chosen.
BOTH = keras.config.backend() == "tensorflow"
FORMS = pytest.mark.parametrize("portable", [False, True][: 1 + BOTH])

# Value = 10 * row + column: bilinear samples of it are 10 * y + x exactly.
RAMP = (10.0 * np.arange(5)[:, None] + np.arange(6))[None, :, :, None].astype("float32")


def aligned_rois(
    portable,
    features,
    boxes,
    scales=(1.0,),
    levels=None,
    output_size=2,
    sampling_ratio=2,
    aligned=False,
    run=outputs_of,
):
    """What the form that is dispatched to gives, or the portable one.

    A small case is sooner computed eagerly on TensorFlow; a graph is `run=compiled`.
    """
    boxes = np.array(boxes, "float32")
    if levels is None:
        levels = np.zeros(boxes.shape[:2])
    levels = np.array(levels, "int32")
    form = roi_align_portable if portable else roi_align

    def align(features, boxes, levels):
        return form(
            features, boxes, scales, levels, output_size, sampling_ratio, aligned
        )

    return run(align, list(features), boxes, levels)


def bilinear_by_loop(feature, y, x):
    """One sample of a map (H, W, C); borders as in torchvision.ops.roi_align."""
    height, width, channels = feature.shape
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(channels)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    return (
        (1 - down) * (1 - across) * feature[top, left]
        + (1 - down) * across * feature[top, right]
        + down * (1 - across) * feature[bottom, left]
        + down * across * feature[bottom, right]
    )


def roi_by_loop(feature, box, scale, output_size, sampling_ratio, aligned):
    """One box on one map (H, W, C), bin by bin, sample by sample."""
    x1, y1, x2, y2 = (float(side) * scale - 0.5 * aligned for side in box)
    smallest = 0.0 if aligned else 1.0
    bin_w = max(x2 - x1, smallest) / output_size
    bin_h = max(y2 - y1, smallest) / output_size
    output = np.zeros((output_size, output_size, feature.shape[-1]))
    offsets = [(k + 0.5) / sampling_ratio for k in range(sampling_ratio)]
    for row in range(output_size):
        for col in range(output_size):
            for down in offsets:
                for across in offsets:
                    y, x = y1 + (row + down) * bin_h, x1 + (col + across) * bin_w
                    output[row, col] += bilinear_by_loop(feature, y, x)
    return output / sampling_ratio**2


def all_by_loop(features, boxes, scales, levels, *settings):
    return np.array(
        [
            [
                roi_by_loop(features[level][image], box, scales[level], *settings)
                for box, level in zip(boxes[image], levels[image], strict=True)
            ]
            for image in range(len(boxes))
        ]
    )


def random_maps(generator, sizes, channels=3, images=2):
    return [
        generator.normal(size=(images, *size, channels)).astype("float32")
        for size in sizes
    ]


def odd_boxes(generator, images, pixels):
    """Boxes inside, across every border, far outside, tiny, empty and enormous."""
    height, width = pixels
    usual = generator.uniform(0, 0.6, (images, 6, 2)) * (width, height)
    usual = np.concatenate([usual, usual + generator.uniform(2, 30, usual.shape)], -1)
    special = [
        (-9, -7, 12, 15),
        (width - 8, height - 6, width + 9, height + 5),
        (-500, -400, -300, -200),
        (width + 50, 3, width + 90, 20),
        (10.3, 7.2, 10.4, 7.25),
        (5, 5, 5, 5),
        (0, 0, 0, 0),
        (0, 0, width, height),
        (-width, -height, 3 * width + 1, 3 * height + 1),  # no point on the limit
    ]
    special = np.tile(special, (images, 1, 1))
    return np.concatenate([usual, special], axis=1).astype("float32")


@FORMS
def test_bins_of_a_ramp_hold_their_centers_value(portable):
    # 2 bins of side 1 from (1, 2): centers x 1.5, 2.5 and y 2.5, 3.5.
    [[got]] = aligned_rois(portable, [RAMP], [[[1, 2, 3, 4]]])
    np.testing.assert_allclose(got[..., 0], [[26.5, 27.5], [36.5, 37.5]], rtol=1e-6)


@FORMS
def test_aligned_means_that_values_stand_in_the_middle_of_cells(portable):
    # Half a cell less on both axes than above: 10 * 0.5 + 0.5 less.
    [[got]] = aligned_rois(portable, [RAMP], [[[1, 2, 3, 4]]], aligned=True)
    np.testing.assert_allclose(got[..., 0], [[21, 22], [31, 32]], rtol=1e-6)


@FORMS
def test_scale_turns_pixels_into_cells(portable):
    got = aligned_rois(portable, [RAMP], [[[8, 16, 24, 32]]], scales=(0.125,))
    same = aligned_rois(portable, [RAMP], [[[1, 2, 3, 4]]])
    np.testing.assert_allclose(got, same, rtol=1e-6)


@FORMS
def test_a_tiny_box_is_one_cell_wide_unless_aligned(portable):
    settings = {"output_size": 1, "sampling_ratio": 1}
    # From (2, 1) to (3, 2): center x 2.5, y 1.5.
    [[[[got]]]] = aligned_rois(portable, [RAMP], [[[2, 1, 2, 1]]], **settings)
    np.testing.assert_allclose(got, [17.5], rtol=1e-6)
    # No size: the point x 2 - 0.5, y 1 - 0.5.
    [[[[got]]]] = aligned_rois(
        portable, [RAMP], [[[2, 1, 2, 1]]], aligned=True, **settings
    )
    np.testing.assert_allclose(got, [6.5], rtol=1e-6)


@FORMS
def test_points_take_the_borders_value_up_to_one_cell_outside(portable):
    # One sample in the middle of boxes of side 1; the map has rows 0..4, columns 0..5.
    at = {
        (-0.75, 2.0): 20,  # column 0 of row 2
        (-1.25, 2.0): 0,
        (5.75, 2.0): 25,  # column 5
        (6.25, 2.0): 0,
        (3.0, -0.75): 3,  # row 0
        (3.0, -1.25): 0,
        (3.0, 4.75): 43,  # row 4
        (3.0, 5.25): 0,
        (-0.75, 4.75): 40,  # both: the corner
        (-0.75, -1.25): 0,  # outside on one axis is outside
    }
    boxes = [[(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for x, y in at]]
    got = aligned_rois(portable, [RAMP], boxes, output_size=1, sampling_ratio=1)
    np.testing.assert_allclose(got[0, :, 0, 0, 0], list(at.values()), atol=1e-5)


@FORMS
def test_points_exactly_one_cell_outside_take_the_borders_value(portable):
    # As torchvision: beyond -1 and beyond the number of cells is outside, not at it. On
    # 3 x 3 cells all shares of the padded map are exact.
    cells = np.arange(1.0, 10, dtype="float32").reshape(1, 3, 3, 1)  # 1..9 by rows
    at = {(-1.0, 1.0): 4, (3.0, 1.0): 6, (1.0, -1.0): 2, (1.0, 3.0): 8, (3.0, 3.0): 9}
    boxes = [[(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for x, y in at]]
    got = aligned_rois(portable, [cells], boxes, output_size=1, sampling_ratio=1)
    np.testing.assert_allclose(got[0, :, 0, 0, 0], list(at.values()), atol=1e-5)


def test_the_heads_numbers_are_the_default():
    generator = np.random.default_rng(3)
    [feature] = random_maps(generator, [(16, 21)])
    boxes = np.array([[[3, 2, 60, 40]], [[5, 5, 5.5, 5.5]]], "float32")
    got = arrays(roi_align([feature], boxes, (0.25,)))
    levels = np.zeros((2, 1), int)
    expected = all_by_loop([feature], boxes, (0.25,), levels, 7, 2, False)
    np.testing.assert_allclose(got, expected, atol=2e-4)


@FORMS
def test_sampling_ratio_is_the_number_of_points_per_side(portable):
    # A map that is 1 in column 2 and 0 elsewhere; one bin from x 0 to 4. Points at 2;
    # 1 and 3; 2/3, 2 and 10/3.
    comb = np.zeros((1, 5, 6, 1), "float32")
    comb[:, :, 2] = 1
    for ratio, expected in [(1, 1.0), (2, 0.0), (3, 1 / 3)]:
        got = aligned_rois(
            portable, [comb], [[[0, 0, 4, 4]]], output_size=1, sampling_ratio=ratio
        )
        np.testing.assert_allclose(got.ravel(), [expected], atol=1e-6)


@FORMS
@pytest.mark.parametrize("aligned", [False, True], ids=["not-aligned", "aligned"])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3])
def test_odd_boxes_on_several_levels_equal_a_loop(portable, aligned, sampling_ratio):
    generator = np.random.default_rng(sampling_ratio)
    features = random_maps(generator, [(16, 21), (8, 11), (4, 6)])
    scales = (0.25, 0.125, 0.0625)
    boxes = odd_boxes(generator, 2, (64, 84))
    levels = generator.integers(0, 3, boxes.shape[:2])
    assert set(levels.ravel()) == {0, 1, 2}
    settings = (3, sampling_ratio, aligned)
    got = aligned_rois(portable, features, boxes, scales, levels, *settings)
    expected = all_by_loop(features, boxes, scales, levels, *settings)
    assert got.shape == (2, 15, 3, 3, 3)
    np.testing.assert_allclose(got, expected, atol=2e-4)


@FORMS
def test_the_heads_seven_bins_equal_a_loop(portable):
    generator = np.random.default_rng(7)
    features = random_maps(generator, [(16, 21)])
    boxes = odd_boxes(generator, 2, (64, 84))
    got = aligned_rois(portable, features, boxes, (0.25,), output_size=7)
    levels = np.zeros(boxes.shape[:2], int)
    expected = all_by_loop(features, boxes, (0.25,), levels, 7, 2, False)
    np.testing.assert_allclose(got, expected, atol=2e-4)


@FORMS
def test_a_map_of_one_cell_is_that_cell_everywhere(portable):
    one = np.full((1, 1, 1, 2), 3.0, "float32")
    got = aligned_rois(portable, [one], [[[0, 0, 1, 1]]])
    np.testing.assert_allclose(got, np.full((1, 1, 2, 2, 2), 3.0), rtol=1e-6)


@FORMS
def test_boxes_keep_their_order_whatever_level_they_read(portable):
    constant = [np.full((1, 8, 8, 1), value, "float32") for value in (5, 6, 7)]
    levels = [[2, 0, 1, 1, 0, 2, 0]]
    got = aligned_rois(portable, constant, [[[1, 1, 4, 4]] * 7], (1.0,) * 3, levels)
    np.testing.assert_allclose(got[0, :, 0, 0, 0], [7, 5, 6, 6, 5, 7, 5], rtol=1e-6)


@FORMS
def test_moving_map_and_box_together_changes_nothing(portable):
    feature = random_maps(np.random.default_rng(8), [(12, 12)], images=1)[0]
    moved = np.roll(feature, (2, 3), axis=(1, 2))  # 2 rows down, 3 columns right
    one = aligned_rois(portable, [feature], [[[1, 1, 6, 7]]])
    other = aligned_rois(portable, [moved], [[[4, 3, 9, 9]]])
    np.testing.assert_allclose(one, other, atol=1e-5)


@FORMS
def test_half_precision_maps_give_half_precision_features(portable):
    generator = np.random.default_rng(9)
    features = random_maps(generator, [(16, 21), (8, 11)])
    boxes = odd_boxes(generator, 2, (64, 84))
    levels = generator.integers(0, 2, boxes.shape[:2])
    scales = (0.25, 0.125)

    def run(boxes, levels, *features):
        halves = [ops.cast(feature, "bfloat16") for feature in features]
        form = roi_align_portable if portable else roi_align
        output = form(halves, boxes, scales, levels, 3, 2, False)
        assert output.dtype == "bfloat16"
        return ops.cast(output, "float32")

    got = compiled(run, boxes, levels, *features)
    expected = all_by_loop(features, boxes, scales, levels, 3, 2, False)
    # 8 bits of mantissa: values up to 4, rounded a few times.
    np.testing.assert_allclose(got, expected, atol=0.05)


@FORMS
def test_no_boxes_give_no_features(portable):
    features = random_maps(np.random.default_rng(0), [(8, 8), (4, 4)])
    got = aligned_rois(
        portable, features, np.zeros((2, 0, 4)), (1.0, 0.5), np.zeros((2, 0))
    )
    assert got.shape == (2, 0, 2, 2, 3)


def test_a_single_map_needs_no_levels():
    got = arrays(roi_align([RAMP], np.array([[[1.0, 2, 3, 4]]]), (1.0,), output_size=1))
    np.testing.assert_allclose(got.ravel(), [32.0], rtol=1e-6)  # x 2, y 3


def test_maps_without_their_scale_or_levels_raise():
    boxes = np.zeros((1, 1, 4), "float32")
    with pytest.raises(ValueError, match=r"received 1 maps, scales=\(1.0, 0.5\)"):
        roi_align([RAMP], boxes, (1.0, 0.5))
    with pytest.raises(ValueError, match=r"received 2 maps, .*levels=None"):
        roi_align([RAMP, RAMP], boxes, (1.0, 0.5))


@pytest.mark.parametrize("ratio", [-1, 1.5, 2.0, "2", None])
def test_sampling_ratio_must_be_a_count(ratio):
    with pytest.raises(ValueError, match=f"received sampling_ratio={ratio}"):
        roi_align([RAMP], np.zeros((1, 1, 4), "float32"), (1.0,), sampling_ratio=ratio)
