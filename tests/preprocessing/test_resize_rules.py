"""The resizing of detectron2; that of torchvision is in test_resize.py."""

import numpy as np
import pytest

from keras_fpn.preprocessing.resize_rules import resize_antialiased, rounded_size


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((400, 600), (800, 1333), (800, 1200)),
        ((300, 451), (800, 1333), (800, 1203)),  # 1202.67 is rounded up
        ((480, 640), (800, 1333), (800, 1067)),  # 1066.67
        ((607, 1000), (800, 1333), (800, 1318)),  # the shorter side is exact; 1317.96
        ((500, 1000), (800, 1333), (667, 1333)),  # 666.5: half up
        ((1, 3000), (800, 1333), (1, 1333)),  # 0.44 pixels: at least 1
        ((640, 640), (800, 600), (600, 600)),
    ],
)
def test_sides_are_rounded(size, limits, expected):
    assert rounded_size(size, *limits) == expected
    assert rounded_size(size[::-1], *limits) == expected[::-1]


def test_a_photo_without_pixels_raises():
    with pytest.raises(ValueError, match=r"must have pixels; received size=\(0, 5\)"):
        rounded_size((0, 5), 800, 1333)


def triangle_by_loop(line, count):
    """A line of levels resized by a triangle that is as wide as the scale."""
    scale = len(line) / count
    width = max(scale, 1.0)
    resized = []
    for place in range(count):
        center = (place + 0.5) * scale
        weights = [max(1 - abs(x + 0.5 - center) / width, 0) for x in range(len(line))]
        level = sum(w * v for w, v in zip(weights, line, strict=True)) / sum(weights)
        resized.append(int(level + 0.5))
    return resized


@pytest.mark.parametrize("size", [(13, 3), (7, 11), (19, 29)])
def test_pixels_are_those_of_a_loop_over_rows_then_columns(size):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (13, 20, 3)).astype(np.uint8)
    rows = [[triangle_by_loop(r[:, c], size[1]) for c in range(3)] for r in image]
    rows = np.transpose(rows, (0, 2, 1))
    expected = [
        [triangle_by_loop(rows[:, x, c], size[0]) for x in range(size[1])]
        for c in range(3)
    ]
    got = resize_antialiased(image, size)
    assert got.dtype == np.float32
    # Fixed-point weights round a few sums otherwise.
    difference = np.abs(got - np.transpose(expected, (2, 1, 0)))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


def test_float_pixels_are_rounded_and_clipped_first():
    image = np.array([[[-3.0, 99.6, 300.0]]], np.float32)
    np.testing.assert_array_equal(resize_antialiased(image, (1, 1)), [[[0, 100, 255]]])
