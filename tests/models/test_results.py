"""One table of outputs: rows without padding, in the photo's pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_fpn.models.results import COUNT, RESULTS, Frame, check_outputs, of_photo

# Resized from 200 x 400 to 100 x 160 pixels: y by 2, x by 2.5.
FRAME = Frame((100, 160), (200, 400))
OUTPUTS = {
    "boxes": np.array(
        [[[0] * 4] * 4, [[10, 20, 30, 40], [0, 0, 160, 100], *[[0] * 4] * 2]], "float32"
    ),
    "labels": np.array([[-1] * 4, [2, 0, -1, -1]], "int32"),
    "scores": np.array([[0] * 4, [0.9, 0.4, 0, 0]], "float32"),
    COUNT: np.array([0, 2], "int32"),
}


def test_rows_are_those_found_in_the_photos_pixels():
    found = of_photo(OUTPUTS, 1, FRAME)
    assert set(found) == {"boxes", "labels", "scores"}
    assert_allclose(found["boxes"], [[25, 40, 75, 80], [0, 0, 400, 200]], rtol=1e-6)
    assert_array_equal(found["labels"], [2, 0])
    assert_allclose(found["scores"], [0.9, 0.4])
    nothing = of_photo(OUTPUTS, 0, FRAME)
    assert nothing["boxes"].shape == (0, 4)
    assert nothing["labels"].dtype == np.int32


@pytest.mark.parametrize(
    ("threshold", "limit", "count"),
    [
        (0.3, 5, 2),
        (np.float32(0.4), None, 1),
        (0.95, None, 0),
        (None, 1, 1),
        (0.1, 1, 1),
    ],
)
def test_stricter_limits_leave_out_the_last_rows(threshold, limit, count):
    found = of_photo(OUTPUTS, 1, FRAME, threshold, limit)
    assert {len(rows) for rows in found.values()} == {count}
    assert_array_equal(found["labels"], [2, 0][:count])


def test_the_table_holds_how_rows_are_padded():
    assert {name: (row.kind, row.padding) for name, row in RESULTS.items()} == {
        "boxes": ("boxes", 0.0),
        "labels": ("value", -1),
        "scores": ("value", 0.0),
    }


def test_all_outputs_must_be_in_the_table():
    check_outputs(["scores", COUNT, "boxes"])
    with pytest.raises(ValueError, match=r"unknown \['mask'\], missing \[\]"):
        check_outputs(["scores", COUNT, "mask"])
