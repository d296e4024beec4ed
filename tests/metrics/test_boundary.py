"""Boundary IoU: by hand, by a plain loop, and over proposals."""

import math

import numpy as np
import pytest
from metrics.made import ground_truth

from keras_fpn.data.segments import mask_segment
from keras_fpn.metrics import boundary_iou, mean_boundary_iou

SIZE = (60, 80)  # the diagonal is 100 pixels, 2 % of it are 2


def rectangle(x1, y1, x2, y2, size=SIZE):
    mask = np.zeros(size, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def near_outline_by_a_loop(mask, distance):
    """Pixels of a mask with one outside it in the square around them."""
    padded = np.pad(mask, distance)
    near = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        square = padded[y : y + 2 * distance + 1, x : x + 2 * distance + 1]
        near[y, x] = not square.all()
    return near


def test_only_pixels_near_the_outlines_count():
    # Of 20 x 20 pixels, 2 from each side: 400 - 16 * 16 = 144 pixels. The same moved by
    # 20 shares none, and moved by 2 those of two frames that cross each other.
    mask = rectangle(10, 10, 30, 30)
    assert boundary_iou(mask, mask) == 1.0
    assert boundary_iou(mask, rectangle(40, 10, 60, 30)) == 0.0
    # Rows of 2 above and below: both 18 wide; the columns 2 wide do not overlap, as
    # 28..30 of one is inside the other, whose own are 12..14 and 30..32.
    moved = rectangle(12, 10, 32, 30)
    shared = 2 * 2 * 18
    assert boundary_iou(mask, moved) == pytest.approx(shared / (288 - shared))


def test_the_border_of_the_image_is_outline():
    corner, inside = rectangle(0, 0, 20, 20), rectangle(30, 30, 50, 50)
    for mask in (corner, inside):
        eroded = mask & ~near_outline_by_a_loop(mask, 2)
        assert eroded.sum() == 16 * 16
        assert boundary_iou(mask, mask & ~eroded) == 1.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dilation", [0.001, 0.02, 0.07, 2.0])
def test_it_is_what_a_loop_over_pixels_finds(seed, dilation):
    draw = np.random.default_rng(seed)
    masks = [
        rectangle(*draw.integers(0, 30, 2), *draw.integers(31, 60, 2))
        ^ rectangle(*draw.integers(0, 30, 2), *draw.integers(31, 60, 2))
        for _ in range(2)
    ]
    distance = max(1, round(100 * dilation))
    near = [near_outline_by_a_loop(mask, distance) for mask in masks]
    expected = (near[0] & near[1]).sum() / (near[0] | near[1]).sum()
    assert boundary_iou(*masks, dilation) == pytest.approx(expected)


def test_empty_masks_have_no_outline():
    nothing, something = np.zeros(SIZE, bool), rectangle(1, 1, 9, 9)
    assert math.isnan(boundary_iou(nothing, nothing))
    assert boundary_iou(nothing, something) == 0.0


def test_masks_must_be_of_one_image():
    with pytest.raises(ValueError, match=r"shapes \(60, 80\) and \(60, 81\)"):
        boundary_iou(np.zeros(SIZE), np.zeros((60, 81)))
    with pytest.raises(ValueError, match=r"shapes \(4,\) and \(4,\)"):
        boundary_iou(np.zeros(4), np.zeros(4))


def scene():
    """Two objects and a crowd in image 1, one object in image 2, as COCO's file."""
    boxes = [(10, 10, 30, 30), (40, 10, 60, 30), (0, 0, 80, 60), (5, 5, 25, 25)]
    truth = ground_truth(
        [
            (1 + (i == 3), 3, (x1, y1, x2 - x1, y2 - y1))
            for i, (x1, y1, x2, y2) in enumerate(boxes)
        ]
    )
    for image in truth["images"]:
        image |= {"height": 60, "width": 80}
    for annotation, box in zip(truth["annotations"], boxes, strict=True):
        annotation["segmentation"] = mask_segment(rectangle(*box))
    truth["annotations"][2]["iscrowd"] = 1
    return truth


def test_the_mean_takes_for_each_object_the_proposal_that_overlaps_it_most():
    exact, moved = rectangle(10, 10, 30, 30), rectangle(42, 10, 62, 30)
    far = rectangle(70, 50, 75, 55)
    masks = [mask_segment(mask) for mask in (far, moved, exact)]
    proposals = [(1, masks, [0.9, 0.8, 0.7])]
    half = 72 / (288 - 72)  # as worked above
    assert mean_boundary_iou(scene(), proposals) == pytest.approx((1 + half) / 3)
    assert mean_boundary_iou(scene(), proposals, 2) == pytest.approx(half / 3)
    assert mean_boundary_iou(scene(), proposals, 1) == 0.0
    assert mean_boundary_iou(scene(), [(1, [], []), (2, [], [])]) == 0.0
    empty = {**scene(), "annotations": []}
    assert math.isnan(mean_boundary_iou(empty, proposals))
