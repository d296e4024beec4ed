import itertools

import numpy as np
import pycocotools.mask
import pytest
from data.tiny_sets import disc

from keras_fpn.data import segments
from keras_fpn.data.masks import segment_mask
from keras_fpn.data.segments import (
    check_segment,
    label_image_objects,
    mask_segment,
    segment_area,
    segment_runs,
)
from keras_fpn.run_lengths import MOST_WRITTEN, compressed, run_lengths


def naive_run_lengths(mask):
    """Counts down the columns, starting with how many pixels are not in the mask."""
    lengths = [] if not mask[0, 0] else [0]
    runs = itertools.groupby(mask.ravel(order="F"))
    return lengths + [len(list(run)) for _, run in runs]


def masks():
    """Masks of runs of one pixel up to tens of thousands: numbers of 1 to 4 letters."""
    generator = np.random.default_rng(3)
    for side in (1, 2, 7, 40):
        for share in (0.0, 0.1, 0.5, 1.0):
            yield generator.random((side, side + 1)) < share
    yield disc(300, 500, (100, 200), 90)
    yield np.ones((700, 400), bool)
    yield np.repeat(generator.random((1, 300)) < 0.5, 200, axis=0)


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: str(mask.shape))
def test_run_lengths_are_those_counted_one_by_one(mask):
    segment = mask_segment(mask)
    assert isinstance(segment["counts"], str)
    assert run_lengths(segment).tolist() == naive_run_lengths(mask)
    plain = {"size": list(mask.shape), "counts": naive_run_lengths(mask)}
    assert run_lengths(plain).tolist() == naive_run_lengths(mask)
    assert segment_area(segment) == segment_area(plain) == mask.sum()
    check_segment(segment, mask.shape)
    np.testing.assert_array_equal(segment_mask(segment, mask.shape), mask)
    np.testing.assert_array_equal(segment_mask(plain, mask.shape), mask)


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: str(mask.shape))
def test_run_lengths_are_written_as_pycocotools_writes_them(mask):
    expected = pycocotools.mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    counts = np.array(naive_run_lengths(mask), np.int64)
    assert compressed(counts) == expected.decode()


def test_run_lengths_of_any_size_are_read_as_they_were_written():
    edges = [2**power + step for power in range(33) for step in (-1, 0)]
    for counts in (edges[:-1], edges[-2::-1], [2**32 - 1, 0, 0, 0, 2**32 - 1], [0]):
        text = compressed(np.array(counts, np.int64))
        assert run_lengths({"counts": text}).tolist() == counts


def test_what_is_drawn_is_written_again_and_never_the_text_of_a_file():
    # 20 in the shortest text and in one that pycocotools would read otherwise.
    for text in ("d0", "dPPPPP0"):
        runs = segment_runs({"size": [4, 5], "counts": text}, (4, 5))
        assert runs == {"size": [4, 5], "counts": "d0"}


def test_the_area_of_polygons_is_that_inside_them():
    square = [0.0, 0.0, 10.0, 0.0, 10.0, 10.0, 0.0, 10.0]
    triangle = [20.0, 0.0, 24.0, 0.0, 20.0, 3.0]  # half of 4 x 3
    assert segment_area([square]) == 100
    assert segment_area([square, triangle]) == 106
    assert segment_area([square[::-1]]) == 100  # whichever way round


def test_objects_of_a_label_image_have_its_pixels():
    labels = np.zeros((6, 5), np.uint16)
    labels[1:3, 2:4] = 7
    labels[5, 4] = 300  # one pixel in the last corner
    labels[0, 0] = labels[4, 1] = 2  # one object of two parts
    found, segments = label_image_objects(labels)
    # x1, y1, x2, y2 by rising value: 2, 7, 300; the last row and column count.
    np.testing.assert_array_equal(found, [[0, 0, 2, 5], [2, 1, 4, 3], [4, 5, 5, 6]])
    for value, segment in zip((2, 7, 300), segments, strict=True):
        np.testing.assert_array_equal(segment_mask(segment, (6, 5)), labels == value)


def test_a_label_image_may_be_empty_or_full():
    found, segments = label_image_objects(np.zeros((4, 3), np.int32))
    assert found.shape == (0, 4)
    assert segments == []
    found, segments = label_image_objects(np.full((4, 3), 9, np.uint8))
    np.testing.assert_array_equal(found, [[0, 0, 3, 4]])
    assert segment_area(segments[0]) == 12


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (7, 5), (0, 4), (4, 0)])
@pytest.mark.parametrize("most", [1, 2, 9])
def test_any_label_image_has_the_boxes_and_masks_of_its_values(size, most):
    labels = np.random.default_rng(most).integers(-1, most + 1, size)
    found, segments = label_image_objects(labels)
    values = [value for value in np.unique(labels) if value != 0]
    assert len(found) == len(segments) == len(values)
    for value, box, segment in zip(values, found, segments, strict=True):
        mask = labels == value
        rows, columns = np.nonzero(mask)
        corners = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert tuple(box) == corners
        np.testing.assert_array_equal(segment_mask(segment, size), mask)


def test_label_images_have_one_channel_of_whole_numbers():
    with pytest.raises(ValueError, match=r"shape=\(4, 3, 3\), dtype=uint8"):
        label_image_objects(np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(ValueError, match=r"shape=\(4, 3\), dtype=float32"):
        label_image_objects(np.zeros((4, 3), np.float32))


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ([[1, 2, 3, 4]], r"at least 3 points; received polygon=\[1, 2, 3, 4\]"),
        ([[1, 2, 3, 4, 5, 6, 7]], r"at least 3 points; .*6, 7\]"),
        ([[0, 0, 9, 0, 9, float("nan")]], r"finite numbers .*9, nan\]"),
        ([["a", "b", 1, 2, 3, 4]], r"finite numbers .*'a', 'b'"),
        ([None], r"polygon=None"),
        ("box", r"run-length dict; received segment=box"),
        ({"size": [5, 4], "counts": [20]}, r"\[4, 5\]; received size=\[5, 4\]"),
        ({"counts": [20]}, r"received size=None"),
        ({"size": [4, 5], "counts": [3, 4]}, r"sum to 20, .*received .* sum to 7"),
        ({"size": [4, 5], "counts": [30, -10]}, r"sum to 20, .*received .* sum to 20"),
        ({"size": [4, 5], "counts": [1.5, 18.5]}, r"integers; .*\[1.5, 18.5\]"),
        ({"size": [4, 5], "counts": [np.inf]}, r"integers; .*\[inf\]"),
        ({"size": [4, 5]}, r"integers; received counts=None"),
        ({"size": [4, 5], "counts": ""}, r"compressed text; received counts=b''"),
        ({"size": [4, 5], "counts": "ab~"}, r"compressed text; received counts=b'ab~'"),
        ({"size": [4, 5], "counts": "o"}, r"compressed text; received counts=b'o'"),
        ({"size": [4, 5], "counts": "o" * 7 + "0"}, r"7 characters; .*counts=b'ooo"),
        ({"size": ["4", "5"], "counts": [20]}, r"received size=\['4', '5'\]"),
        ({"size": "45", "counts": [20]}, r"received size=45"),
        ({"size": [4, 10**400], "counts": [20]}, r"received size=\[4, 1000"),
        ({"size": [4, 5], "counts": ["20"]}, r"integers; received counts=\['20'\]"),
        ({"size": [4, 5], "counts": [[20]]}, r"integers; received counts=\[\[20\]\]"),
        ({"size": [4, 5], "counts": [[20], 1]}, r"integers; .*counts=\[\[20\], 1\]"),
        ({"size": [4, 5], "counts": [10**400]}, r"integers; received counts=\[1000"),
        ({"size": [4, 5], "counts": {"0": 20}}, r"integers; received counts={'0': 20}"),
        ([["0", "0", "1", "0", "1", "1"]], r"finite numbers .*'0', '0'"),
        ([[0, 0, 1, 0, 1, 10**400]], r"finite numbers .*0, 1, 1000"),
        ([[[0, 0], [1, 0], [1, 1]] * 2], r"at least 3 points; .*\[\[0, 0\]"),
        ([5], r"polygon=5"),
        (["polygon"], r"polygon=polygon"),
        (7, r"run-length dict; received segment=7"),
        ({"size": [4, 5], "counts": "1"}, r"sum to 20, .*received .* sum to 1"),
    ],
)
def test_broken_segments_are_refused(segment, message):
    with pytest.raises(ValueError, match=message):
        check_segment(segment, (4, 5))
    if not (isinstance(segment, list) and np.shape(segment) == (1, 4)):
        with pytest.raises(ValueError, match=message):
            segment_runs(segment, (4, 5))


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ([[0, 0, 9, 0, 9, 1.1e12]], r"numbers up to 1e\+12; .* 9, 1100000000000"),
        ([[0, 0, float("-inf"), 0, 9, 9]], r"finite numbers .*-inf"),
        (
            [[-4, -4, 9, 9, 9, -4] * 120_000],
            r"at most 4194304 pixels; received 36",
        ),
        # Each of 2^53 or so, which as a sum of 64 bits wraps around to 20.
        ({"size": [4, 5], "counts": [2**53 - 1] * 2048 + [2068]}, r"9007199254740991"),
        ({"size": [4, 5], "counts": [2**52, 20 - 2**52]}, r"sum to 20, from -4503"),
        # Differences of 2^62 or so, of which a sum of 64 bits is 20.
        ({"size": [4, 5], "counts": ("o" * 12 + "3") * 9}, r"7 characters"),
        # pycocotools would read on behind its end.
        ({"size": [4, 5], "counts": "4@\u00e9"}, r"compressed text; .*4@"),
    ],
)
def test_what_would_harm_the_process_is_refused(segment, message):
    for refuse in (check_segment, segment_mask):
        with pytest.raises(ValueError, match=message):
            refuse(segment, (4, 5))


@pytest.mark.parametrize("size", [(2**16, 2**16), (0, 5), (5, 0), (60_000_000, 1)])
def test_a_mask_has_no_more_pixels_than_can_be_counted(size):
    with pytest.raises(
        ValueError, match=r"1 to 4294967295 pixels, .*received \(height"
    ):
        check_segment([[0, 0, 1, 0, 1, 1]], size)


def test_what_pycocotools_writes_fits_into_six_characters_for_each_number():
    """It has no room for more, and none for the zero behind them."""
    most = [2**24, 2**24, 2**24 - 1]
    assert sum(most) == MOST_WRITTEN
    assert len(compressed(np.array(most))) == 17
    assert len(compressed(np.array([2**24] * 3))) == 18
    assert len(compressed(np.array([2**29]))) == 7


@pytest.mark.parametrize(
    "polygons",
    [
        [[10, 5, 90, 20, 60, 70, 3.3, 44.7]],
        [[-50, -50, 300, -20, 200, 300], [70, 60, 95.5, 61, 80, 79]],
        [[0, 0, 100, 0, 100, 80, 0, 80]],
        [[20.5, 10.5, 41, 33, 20.5, 33], [1, 1, 2, 2, 1, 2]],
        [[200, 200, 300, 200, 300, 300]],  # outside
    ],
)
@pytest.mark.parametrize("columns", [1, 7, 64])
def test_polygons_of_an_enormous_photo_are_drawn_in_parts(
    monkeypatch, polygons, columns
):
    size = (80, 100)
    expected = segment_mask(polygons, size)
    written, draw = [], pycocotools.mask.frPyObjects

    def drawn(polygons, height, width):
        written.append(height * width)
        return draw(polygons, height, width)

    monkeypatch.setattr(pycocotools.mask, "frPyObjects", drawn)
    monkeypatch.setattr(segments, "MOST_WRITTEN", 80 * columns)
    np.testing.assert_array_equal(segment_mask(polygons, size), expected)
    assert max(written, default=0) <= 80 * columns


def test_masks_of_enormous_photos_are_written_without_pycocotools(monkeypatch):
    expected = [mask_segment(mask) for mask in masks()]
    monkeypatch.setattr(segments, "MOST_WRITTEN", 0)
    monkeypatch.setattr(pycocotools.mask, "encode", lambda _: pytest.fail("written"))
    assert [mask_segment(mask) for mask in masks()] == expected


@pytest.mark.parametrize("far", [1e9, 2.0**31, 1e12])
def test_a_polygon_that_reaches_far_away_covers_what_is_inside_it(far):
    covered = segment_mask([[2, 1, far, 1, far, far, 2, far]], (4, 5))
    np.testing.assert_array_equal(covered, np.outer([0, 1, 1, 1], [0, 0, 1, 1, 1]))
    around = segment_mask([[-far, -far, far, -far, far, far, -far, far]], (4, 5))
    assert around.all()
    for corner in ((far, far - 1e3), (1e3 - far, 2)):  # a square that lies there
        x, y = corner
        aside = [[x, y, x - 1e3, y, x - 1e3, y + 1e3, x, y + 1e3]]
        assert not segment_mask(aside, (4, 5)).any()


def test_two_far_polygons_and_a_short_one_are_merged():
    far = 1e9
    left, right = [-far, 0, 1, 0, 1, 4, -far, 4], [4, 0, far, 0, far, 4, 4, 4]
    covered = segment_mask([left, [1, 2], right], (4, 5))
    np.testing.assert_array_equal(covered, np.outer(np.ones(4), [1, 0, 0, 0, 1]))
