"""Which objects no anchor reaches, against a search of all anchors."""

import dataclasses

import numpy as np
import pytest
from data.painted import painted_dataset
from keras import ops
from models.tiny import tiny_detector

from keras_fpn.anchors import cell_anchors, grid_anchors
from keras_fpn.data import Objects, open_dataset
from keras_fpn.layers import MultiLevelAnchors, StridedAnchors
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.report.anchor_coverage import (
    AnchorCoverage,
    anchor_coverage,
    best_ious,
    level_strides,
)

STRIDES = {"P4": 16, "P5": 64}
SIZES = {"P4": (64.0,), "P5": (256.0,)}
ANCHORS = MultiLevelAnchors(SIZES)
CELLS = {level: cell_anchors(sizes, ANCHORS.ratios) for level, sizes in SIZES.items()}
AS_IS = Preprocessing(min_size=200, max_size=400)


def searched(boxes, padded_size):
    """Each box's best IoU by comparing it with every anchor there is."""
    anchors = []
    for level, stride in STRIDES.items():
        grid = [-(-side // stride) for side in padded_size]
        placed = grid_anchors(CELLS[level], grid, padded_size)
        anchors.append(ops.convert_to_numpy(placed))
    anchors = np.concatenate(anchors).astype(np.float64)
    best = []
    for x1, y1, x2, y2 in boxes:
        width = np.minimum(anchors[:, 2], x2) - np.maximum(anchors[:, 0], x1)
        height = np.minimum(anchors[:, 3], y2) - np.maximum(anchors[:, 1], y1)
        shared = width.clip(0) * height.clip(0)
        areas = (anchors[:, 2:] - anchors[:, :2]).prod(axis=1)
        best.append((shared / (areas + (x2 - x1) * (y2 - y1) - shared)).max())
    return np.array(best)


# 416 = 6 cells of 69 pixels and a rest, not 6.5 of 64: anchors are not where 2^l says.
@pytest.mark.parametrize("padded_size", [(416, 800), (64, 64), (32, 1344)])
def test_the_best_anchor_is_that_of_a_full_search(padded_size):
    random = np.random.default_rng(0)
    limits = np.array(padded_size[::-1] * 2)
    corners = np.sort(random.uniform(0, 1, (300, 2, 2)), axis=1).reshape(-1, 4)
    sizes = random.uniform(0.02, 1, (300, 1))  # large boxes alone would match alike
    boxes = corners * sizes * limits
    expected = searched(boxes, padded_size)
    np.testing.assert_allclose(
        best_ious(boxes, CELLS, STRIDES, padded_size), expected, rtol=1e-9
    )
    assert np.ptp(expected) > 0.3


def with_boxes(dataset, boxes, crowd=None):
    count = len(boxes)
    crowd = np.zeros(count, bool) if crowd is None else np.array(crowd)
    objects = Objects(np.array(boxes, np.float32), np.arange(count) % 2, crowd)
    photo = dataclasses.replace(dataset[0], objects=objects)
    names, ids = ("even", "odd"), (1, 2)
    return dataclasses.replace(
        dataset, photos=(photo,), class_names=names, category_ids=ids
    )


@pytest.fixture
def dataset(tmp_path):
    return painted_dataset(tmp_path, [(100, 200)])


def test_objects_are_measured_in_the_resized_photo(dataset):
    # The photo doubles. A 64 x 64 anchor stands around (16, 16), (32, 16), ...:
    #   0, 0, 24, 24 becomes 48 x 48 within the anchor at (16, 16) of -16..48: 0.5625;
    #   16, 16, 48, 48 becomes 64 x 64 at 32..96, the anchor at (64, 64): 1;
    #   0, 0, 8, 8 becomes 16 x 16 of area 256 in 4096: 0.0625 (or more by ratio 0.5:
    #   half sides 45.25 and 22.6 round to 46 x 90 of 4140: less).
    boxes = [[0, 0, 24, 24], [16, 16, 48, 48], [0, 0, 8, 8]]
    found = anchor_coverage(with_boxes(dataset, boxes), ANCHORS, STRIDES, AS_IS)
    np.testing.assert_allclose(found.best_iou, [0.5625, 1, 0.0625])
    np.testing.assert_array_equal(found.labels, [0, 1, 0])
    np.testing.assert_array_equal(found.sides, [48, 64, 16])
    np.testing.assert_array_equal(found.image_ids, [dataset[0].image_id] * 3)
    assert found.share_missed(0.5) == 1 / 3
    assert found.share_missed(0.7) == 2 / 3
    shares = {name: part.share_missed(0.5) for name, part in found.by_class()}
    assert shares == {"even": 0.5, "odd": 0}
    shares = {name: part.share_missed(0.7) for name, part in found.by_size()}
    assert shares == {"16 to 32 px": 1, "32 to 64 px": 1, "64 to 128 px": 0}
    assert found.report().splitlines() == [
        "Objects by the IoU of their best anchor (sizes: root of the area, input "
        "pixels):",
        "              objects  IoU < 0.5  IoU < 0.7",
        "all objects         3      33.3%      66.7%",
        "16 to 32 px         1     100.0%     100.0%",
        "32 to 64 px         1       0.0%     100.0%",
        "64 to 128 px        1       0.0%       0.0%",
        "even                2      50.0%     100.0%",
        "odd                 1       0.0%       0.0%",
    ]
    assert found.report(max_classes=1).splitlines()[-2:] == [
        "even                2      50.0%     100.0%",
        "and 1 more class, missed less often",
    ]


def test_crowds_and_boxes_without_area_do_not_count(dataset):
    boxes = [[0, 0, 8, 8], [5, 5, 5, 9], [16, 16, 48, 48]]
    crowded = with_boxes(dataset, boxes, [True, False, False])
    found = anchor_coverage(crowded, ANCHORS, STRIDES, AS_IS)
    np.testing.assert_allclose(found.best_iou, [1])


def test_a_data_set_without_objects_misses_none(dataset):
    found = anchor_coverage(with_boxes(dataset, []), ANCHORS, STRIDES, AS_IS)
    assert isinstance(found, AnchorCoverage)
    assert found.share_missed(0.5) == 0
    assert "all objects        0       0.0%       0.0%" in found.report()


def test_strides_are_those_of_the_detectors_maps():
    model = tiny_detector()
    strides = level_strides(model)
    assert strides == {"P2": 4, "P3": 8, "P4": 16, "P5": 32, "P6": 64}
    height, width = 416, 800
    shapes = model.trunk.compute_output_shape(
        {"images": (1, height, width, 3), "image_sizes": (1, 2)}
    )
    for level, stride in strides.items():
        grid = tuple(shapes["rpn_pyramid"][level][1:3])
        assert grid == (-(-height // stride), -(-width // stride))


def test_a_level_without_stride_is_refused(dataset):
    with pytest.raises(
        ValueError, match=r"strides=\{'P4': 16\} and anchors for \['P4', "
    ):
        anchor_coverage(dataset, ANCHORS, {"P4": 16}, AS_IS)


def test_blood_cells_are_all_reached_by_the_usual_anchors(data_folder):
    cells = open_dataset(data_folder / "bccd", report=None)
    sizes = {f"P{level}": (2.0 ** (level + 3),) for level in range(2, 7)}
    strides = {f"P{level}": 2**level for level in range(2, 7)}
    found = anchor_coverage(cells, MultiLevelAnchors(sizes), strides, Preprocessing())
    assert len(found.labels) == 4886  # of 4888, two of which have no area
    assert found.share_missed(0.5) == 0


def test_strided_anchors_are_not_rounded_and_a_stride_apart():
    anchors = StridedAnchors({"P6": (50.5,)}, ratios=(1.0,))
    assert anchors.spacing(64, 13, 800) == 64
    assert MultiLevelAnchors.spacing(64, 13, 800) == 61
    cells = {"P6": anchors.cell("P6").astype("float64")}
    far = np.array([[64 * 12 - 25.25, -25.25, 64 * 12 + 25.25, 25.25]])
    # Torchvision's is 12 * 3 pixels away: 14.5 of 50.5 pixels are shared.
    shared = 14.5 / (101 - 14.5)
    for spacing, best in ((anchors.spacing, 1), (MultiLevelAnchors.spacing, shared)):
        found = best_ious(far, cells, {"P6": 64}, (800, 800), spacing)
        np.testing.assert_allclose(found, [best], atol=1e-3)
