"""One table of outputs: rows without padding, in the photo's pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pycocotools import mask as coco_mask

from keras_fpn.models.pasted_masks import ExactPaste
from keras_fpn.models.results import (
    COUNT,
    RESULTS,
    Frame,
    check_mask_form,
    check_outputs,
    mirrored,
    of_photo,
    with_masks,
)

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
        "masks": ("masks", 0.0),
        "mask_windows": ("boxes", 0.0),
        "keypoints": ("keypoints", 0.0),
        "semantic_logits": ("map", 0.0),
    }


def test_all_outputs_must_be_in_the_table():
    check_outputs(["scores", COUNT, "boxes"])
    with pytest.raises(ValueError, match=r"unknown \['mask'\], missing \[\]"):
        check_outputs(["scores", COUNT, "mask"])


def test_only_a_detector_of_maps_alone_has_no_scores():
    check_outputs(["semantic_logits"])
    check_outputs(["semantic_logits", "scores", COUNT])
    missing = r"missing \['num_detections', 'scores'\]"
    for names in ([], ["boxes"], ["semantic_logits", "boxes"]):
        with pytest.raises(ValueError, match=missing):
            check_outputs(names)


def test_logits_become_a_map_of_the_photo_whatever_is_found():
    logits = np.zeros((2, 30, 45, 3), "float32")  # of 4 pixels each
    logits[..., 0] = 0.5
    logits[1, :, 20:, 2] = 1.0  # from 80 of the image's 160 pixels on
    found = of_photo({"semantic_logits": logits}, 1, FRAME)
    assert set(found) == {"semantic_map"}
    assert found["semantic_map"].shape == (200, 400)
    assert (found["semantic_map"][:, :195] == 0).all()
    assert (found["semantic_map"][:, 205:] == 2).all()
    both = of_photo({**OUTPUTS, "semantic_logits": logits}, 1, FRAME, 0.95)
    assert len(both["boxes"]) == 0
    assert_array_equal(both["semantic_map"], found["semantic_map"])


# Masks of 2 x 2 cells; in the second image the first covers the left half of its
# window, the second all of it.
MASKS = np.zeros((2, 4, 2, 2), "float32")
MASKS[1, 0, :, 0] = MASKS[1, 1] = 0.9
WINDOWS = np.zeros((2, 4, 4), "float32")
WINDOWS[1, :2] = [[8, 20, 32, 40], [0, 0, 160, 100]]


def in_form(form, index=1, threshold=0.5, outputs=None, **limits):
    outputs = outputs or OUTPUTS | {"masks": MASKS, "mask_windows": WINDOWS}
    found = of_photo(outputs, index, FRAME, **limits)
    return with_masks(found, FRAME.photo_size, form, ExactPaste(threshold))


KEYPOINTS = np.array([[[10, 20, 0.5], [30, 40, -2]], [[0, 0, 1], [160, 100, 3]]], float)


def test_keypoints_are_scaled_to_the_photo_and_their_scores_are_not():
    rows = np.zeros((2, 4, 2, 3), "float32")
    rows[1, :2] = KEYPOINTS
    found = of_photo({**OUTPUTS, "keypoints": rows}, 1, FRAME)
    expected = [[[25, 40, 0.5], [75, 80, -2]], [[0, 0, 1], [400, 200, 3]]]
    assert_allclose(found["keypoints"], expected, rtol=1e-6)


def test_keypoints_of_the_mirrored_photo_exchange_left_and_right():
    found = {"keypoints": KEYPOINTS}
    plain = mirrored(found, 160)["keypoints"]
    assert_array_equal(plain[0], [[150, 20, 0.5], [130, 40, -2]])
    exchanged = mirrored(found, 160, [(0, 1)])["keypoints"]
    assert_array_equal(exchanged, plain[:, ::-1])
    again = mirrored({"keypoints": exchanged}, 160, [(0, 1)])["keypoints"]
    assert_array_equal(again, KEYPOINTS)


def test_masks_are_pasted_over_their_windows_in_the_photo():
    found = in_form("full")
    assert set(found) == {"boxes", "labels", "scores", "masks"}
    assert (found["masks"].shape, found["masks"].dtype) == ((2, 200, 400), bool)
    # x 8..32 is 20..80 in the photo, and y 20..40 is 40..80. Halfway between the
    # centers of the cells, x = 50, the value is 0.45; it is 0.5 at 48.3. Toward the
    # edges it falls from 0.9 to 0.45, and to 0.5 at 21.7 (x), 41.1 and 78.9 (y).
    rows, columns = np.nonzero(found["masks"][0])
    assert (rows.min(), rows.max()) == (41, 78)
    assert (columns.min(), columns.max()) == (22, 47)
    runs = in_form("rle")["masks"]
    assert_array_equal([coco_mask.decode(run) for run in runs], found["masks"])
    crops = in_form("crops", max_detections=1)
    assert_array_equal(crops["masks"], MASKS[1, :1])
    assert_allclose(crops["mask_windows"], [[20, 40, 80, 80]], rtol=1e-6)


def test_masks_without_windows_are_over_their_boxes():
    found = in_form("crops", outputs=OUTPUTS | {"masks": MASKS})
    assert_array_equal(found["mask_windows"], found["boxes"])


def test_the_threshold_is_the_detectors_and_no_rows_have_no_masks():
    assert not in_form("full", threshold=0.95)["masks"].any()
    assert in_form("rle", 0)["masks"] == []
    assert in_form("full", 0)["masks"].shape == (0, 200, 400)
    assert in_form("crops", 0)["masks"].shape == (0, 2, 2)
    assert set(in_form("rle", outputs=OUTPUTS)) == {"boxes", "labels", "scores"}


def test_masks_of_the_mirrored_photo_are_mirrored_with_their_windows():
    crops = in_form("crops")
    again = with_masks(mirrored(crops, 400), FRAME.photo_size, "full", ExactPaste())
    assert_array_equal(again["masks"], in_form("full")["masks"][:, :, ::-1])


def test_other_forms_of_masks_are_refused():
    with pytest.raises(ValueError, match=r"\('rle', 'crops', 'full'\); .*masks='png'"):
        check_mask_form("png")
