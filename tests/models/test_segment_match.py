"""Which windows predict which object: worked from the paper's appendix, and by a loop.

Lin et al. 2017 (arXiv:1612.03144), Appendix A: masks of a scale of 32, 64, ..., 512
pixels on P2..P6, half octaves by the larger kernel, the nearest in log space; on P_k
the center is within 2^k pixels; windows are 25 % larger.
"""

import numpy as np
import pytest
from models.truths import truth_of
from numpy.testing import assert_array_equal
from on_backend import arrays, by_xla

from keras_fpn.layers import SegmentWindows
from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE
from keras_fpn.models.segment_match import match_segments

PADDING = 1.25


def windows_of(height, width):
    """All windows of an image, and what each is: (level, row, column, scale)."""
    pyramid, rows = {}, []
    for level in range(2, 7):
        h, w = (-(-side // 2**level) for side in (height, width))
        pyramid[f"P{level}"] = np.zeros((1, h, w, 1), "float32")
        rows += [(level, y, x, a) for y in range(h) for x in range(w) for a in (0, 1)]
    return SegmentWindows(padding=PADDING)(pyramid), rows


def around(x, y, width, height):
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def eagerly(function, *inputs):
    return arrays(function(*inputs))


def matched(boxes, size=(256, 256), image_size=None, empty=(), run=eagerly, **more):
    """Labels, matches and the list of what each window is, for one image."""
    windows, rows = windows_of(*size)
    masks = np.full((1, len(boxes), 2, 2), 255, "uint8")
    masks[0, list(empty)] = 0
    truth = truth_of(
        [boxes],
        [[0] * len(boxes)],
        masks=masks,
        mask_windows=np.array([boxes], "float32").reshape(1, -1, 4),
        needed=("boxes", "labels", "masks", "mask_windows"),
        **more,
    )
    sizes = np.array([image_size or size], "float32")
    labels, matches = run(lambda s: match_segments(windows, PADDING, truth, s), sizes)
    assert labels.dtype == matches.dtype == np.int32
    return labels[0], matches[0], rows


def positives(boxes, **more):
    labels, _, rows = matched(boxes, **more)
    return [row for label, row in zip(labels, rows, strict=True) if label == POSITIVE]


@pytest.mark.parametrize(
    ("side", "level", "scale"),
    [
        (32, 2, 0),
        (64, 3, 0),
        (128, 4, 0),
        (512, 6, 0),
        (45, 2, 1),  # 32 sqrt 2 = 45.3, a half octave
        (90, 3, 1),
        (700, 6, 1),
        (38, 2, 0),  # 32 * 2^(1/4) = 38.05 is halfway to the half octave
        (38.1, 2, 1),
        (53.8, 2, 1),  # and 32 * 2^(3/4) = 53.82 is halfway to 64
        (53.9, 3, 0),
        (4, 2, 0),  # smaller and larger ones go to the first and the last
        (2000, 6, 1),
    ],
)
def test_the_scale_is_the_nearest_in_log_space(side, level, scale):
    found = positives([around(130, 130, side, side / 3)])
    assert {(row[0], row[3]) for row in found} == {(level, scale)}
    turned = positives([around(130, 130, side / 3, side)])
    assert turned == found  # the longer side counts


def test_an_object_halfway_between_two_scales_belongs_to_both():
    found = positives([around(130, 130, 32 * 2**0.25, 10)])
    assert {(row[0], row[3]) for row in found} == {(2, 0), (2, 1)}


def test_the_center_is_at_most_one_cell_away():
    # P3, stride 8: 131 is 3 px from cell 16 (128) and 5 px from 17 (136), 11 from 15.
    found = positives([around(131, 66, 64, 64)])
    # 66 is 2 px from row 8 (64), 6 from row 9 (72), 10 from row 7.
    assert found == [(3, y, x, 0) for y in (8, 9) for x in (16, 17)]
    # On a cell, the neighbors are exactly 2^3 = 8 px away, which is within.
    found = positives([around(128, 64, 64, 64)])
    assert found == [(3, y, x, 0) for y in (7, 8, 9) for x in (15, 16, 17)]
    # Of half octaves, the same cells: 90 px on P3.
    found = positives([around(131, 66, 90, 90)])
    assert found == [(3, y, x, 1) for y in (8, 9) for x in (16, 17)]


def test_at_the_corner_of_the_image_there_are_fewer_cells():
    found = positives([around(1, 255, 32, 32)])
    assert found == [(2, 63, 0, 0), (2, 63, 1, 0)]


def test_a_window_near_two_objects_matches_the_nearest():
    first, second = around(129, 64, 64, 64), around(134, 64, 64, 64)
    labels, matches, rows = matched([first, second])
    found = {
        row[2]: match
        for label, match, row in zip(labels, matches, rows, strict=True)
        if label == POSITIVE and row[1] == 8
    }
    # Cells at 128, 136 and 144: the first object is 1, 7 and 15 px away, of which 8 are
    # allowed, the second 6, 2 and 10; and 121 and 126 is 120's 9 and 14.
    assert found == {16: 0, 17: 1}


def test_of_equally_near_objects_the_first_is_matched():
    box = around(129, 64, 64, 64)
    labels, matches, _ = matched([around(30, 30, 32, 32), box, box])
    assert set(matches[labels == POSITIVE]) == {0, 1}


def test_all_other_windows_are_negative():
    labels, _, _ = matched([around(130, 130, 40, 40)])
    assert (labels == POSITIVE).sum() == 4
    assert (labels == NEGATIVE).sum() == len(labels) - 4
    nothing, _, _ = matched([])
    assert (nothing == NEGATIVE).all()


def test_windows_centered_in_the_padding_do_not_count():
    labels, _, rows = matched([around(98, 98, 32, 32)], image_size=(100, 100))
    beyond = np.array([max(y, x) * 2**level >= 100 for level, y, x, _ in rows])
    assert_array_equal(labels[beyond], IGNORED)
    assert (labels[~beyond] != IGNORED).all()
    found = [row for label, row in zip(labels, rows, strict=True) if label == POSITIVE]
    assert found == [(2, 24, 24, 0)]  # the cell at 96; that at 100 is in the padding


def test_objects_without_a_mask_have_windows_that_do_not_count():
    box, other = around(131, 66, 64, 64), around(30, 30, 32, 32)
    labels, _, rows = matched([box, other], empty=[0])
    ignored = [row for label, row in zip(labels, rows, strict=True) if label == IGNORED]
    assert ignored == [(3, y, x, 0) for y in (8, 9) for x in (16, 17)]
    assert (labels == POSITIVE).sum() == 4
    # A second object near the same cells has them.
    labels, _, rows = matched([box, around(131, 66, 60, 60)], empty=[0])
    found = [row for label, row in zip(labels, rows, strict=True) if label == POSITIVE]
    assert found == ignored


def test_windows_whose_objects_are_half_in_a_crowd_do_not_count():
    crowd = [0, 0, 256, 128]
    labels, matches, rows = matched(
        [crowd, around(131, 66, 64, 64)], is_crowd=np.array([[True, False]])
    )
    for label, (level, y, x, scale) in zip(labels, rows, strict=True):
        side = 8 * 2**level * 2 ** (scale / 2)
        left, top = x * 2**level - side / 2, y * 2**level - side / 2
        width = min(left + side, 256) - max(left, 0)
        height = min(top + side, 128) - max(top, 0)
        share = max(width, 0) * max(height, 0) / side**2
        positive = (level, scale) == (3, 0) and y in (8, 9) and x in (16, 17)
        expected = POSITIVE if positive else NEGATIVE if share < 0.4999 else IGNORED
        if abs(share - 0.5) > 1e-3:  # else either, by rounding
            assert label == expected
    assert (matches[labels == POSITIVE] == 1).all()


def by_a_loop(boxes, rows, size):
    """The object of each window, or -1, one pair at a time."""
    sides = sorted({8 * 2**level * 2 ** (a / 2) for level, _, _, a in rows})
    found = np.full(len(rows), -1)
    for place, (level, y, x, a) in enumerate(rows):
        center, nearest = np.array([x, y]) * 2.0**level, np.inf
        for number, box in enumerate(np.array(boxes)):
            scale = max(box[2:] - box[:2])
            octaves = [abs(np.log2(scale / side)) for side in sides]
            own = abs(np.log2(scale / (8 * 2**level * 2 ** (a / 2))))
            apart = np.abs((box[:2] + box[2:]) / 2 - center)
            if own <= min(octaves) + 1e-6 and apart.max() <= 2**level:
                if (apart**2).sum() < nearest:
                    found[place], nearest = number, (apart**2).sum()
    return found


@pytest.mark.parametrize("seed", range(2))
def test_it_is_what_a_loop_over_pairs_finds(seed):
    draw = np.random.default_rng(seed)
    size = (96, 128)
    boxes = [
        around(*draw.uniform(0, (128, 96)), *(2 ** draw.uniform(3, 9, 2)))
        for _ in range(25)
    ]
    boxes = np.array(boxes, "float32").tolist()
    labels, matches, rows = matched(boxes, size)
    expected = by_a_loop(boxes, rows, size)
    assert_array_equal(np.where(labels == POSITIVE, matches, -1), expected)
    assert len(set(expected)) > 15


@pytest.mark.tensorflow_only
def test_xla_compiles_it():
    crowd = around(60, 60, 60, 60)
    boxes = [around(131, 66, 64, 64), around(129, 64, 60, 60), crowd]
    more = {"size": (128, 160), "is_crowd": np.array([[False, False, True]])}
    plain, found = matched(boxes, **more), matched(boxes, run=by_xla, **more)
    assert_array_equal(found[0], plain[0])
    assert_array_equal(found[1], plain[1])
    assert set(plain[0]) == {POSITIVE, NEGATIVE, IGNORED}
