"""The classes of a photo's pixels, beside plain loops and by hand."""

import numpy as np
from numpy.testing import assert_array_equal

from keras_fpn.models.semantic_map import semantic_map


def value(line, place):
    """The value of a row of cells at a place, linearly between their centers."""
    place = min(max(place, 0.0), len(line) - 1.0)
    first = int(place)
    second = min(first + 1, len(line) - 1)
    return line[first] * (1 - (place - first)) + line[second] * (place - first)


def resized(line, size, scale):
    return [value(line, (number + 0.5) * scale - 0.5) for number in range(size)]


def plain(logits, image_size, photo_size):
    """Upsamples by 4, cuts and resizes, each as a whole and in float64."""
    maps = np.asarray(logits, float)
    for axis, (image, photo) in enumerate(zip(image_size, photo_size, strict=True)):
        cells = maps.shape[axis]
        maps = np.apply_along_axis(
            lambda line, n=cells, i=image, p=photo: resized(
                resized(line, 4 * n, 0.25)[:i], p, i / p
            ),
            axis,
            maps,
        )
    return maps.argmax(axis=2)


def test_it_is_upsampling_cutting_and_resizing_in_turn():
    logits = np.random.default_rng(0).normal(size=(6, 9, 5)).astype("float32")
    for image_size, photo_size in (((23, 33), (31, 150)), ((24, 36), (11, 17))):
        found = semantic_map(logits, image_size, photo_size)
        wanted = plain(logits, image_size, photo_size)
        assert found.dtype == np.uint8
        assert found.shape == photo_size
        assert (found == wanted).mean() > 0.999
        assert (np.roll(found, 1, axis=1) == wanted).mean() < 0.99
        assert (np.zeros_like(found) == wanted).mean() < 0.5
        assert len(np.unique(found)) == 5


def test_the_padding_is_seen_by_the_last_two_pixels_alone():
    logits = np.zeros((4, 4, 2), "float32")
    logits[:, 2:, 1] = 8.0  # from the image's edge, at 8 pixels, on
    found = semantic_map(logits, (16, 8), (16, 8))
    assert_array_equal(found, [[0] * 6 + [1, 1]] * 16)
    # The last pixel is 3/8 of a cell beyond the center of its own: 3 in class 1.
    logits[:, :2, 0] = 4.9  # times 5/8
    assert not semantic_map(logits, (16, 8), (16, 8)).any()
    logits[:, :2, 0] = 4.7
    found = semantic_map(logits, (16, 8), (16, 8))
    assert_array_equal(found, [[0] * 7 + [1]] * 16)


def test_tiles_fit_together():
    logits = np.zeros((80, 40, 3), "float32")
    rows, columns = np.indices((80, 40))
    logits[..., 1] = rows - 40.23
    logits[..., 2] = columns - 20.41
    found = semantic_map(logits, (320, 160), (400, 300))
    assert_array_equal(found, plain(logits, (320, 160), (400, 300)))
