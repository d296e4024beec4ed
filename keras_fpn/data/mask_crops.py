"""Crops masks to small maps of coverage, as they reach the device."""

import numpy as np

from keras_fpn.data.masks import mask_extents

CROP_SIDE = 56  # cells; twice the side of the largest masks that heads predict
FULL = 255  # coverage of a cell that is completely inside the mask


def mask_crops(masks, boxes, side: int | None = CROP_SIDE):
    """Returns the coverage of masks within the smallest windows around them.

    The coverage of a cell is the area of the mask within it, computed exactly and
    rounded to 1 / 255 of the cell. An empty mask has coverage 0 in the window of its
    box.

    Args:
        masks: bool (G, H, W).
        boxes: float (G, 4), xyxy, pixels.
        side: int, cells along each side of a crop. With None, cells are the pixels
            themselves, so nothing is lost; all crops are as large as the largest.

    Returns:
        crops: uint8 (G, h, w), 0..255.
        windows: float32 (G, 4), xyxy, pixels, where the crops are in the image.
    """
    extents = mask_extents(masks)
    sizes = extents[:, [3, 2]] - extents[:, [1, 0]]
    if side is None:
        height, width = np.maximum(sizes.max(axis=0, initial=1), 1)
        shape = (int(height), int(width))
    else:
        shape = (side, side)
    crops = np.zeros((len(masks), *shape), np.uint8)
    windows = np.array(boxes, np.float32).reshape(-1, 4)
    for row, (x1, y1, x2, y2) in enumerate(extents):
        if x2 == 0:
            continue
        inside = masks[row, y1:y2, x1:x2]
        if side is None:
            crops[row, : y2 - y1, : x2 - x1] = inside * np.uint8(FULL)
            windows[row] = x1, y1, x1 + shape[1], y1 + shape[0]
        else:
            crops[row] = np.rint(coverage(inside, shape) * FULL)
            windows[row] = x1, y1, x2, y2
    return crops, windows


def coverage(mask, shape: tuple[int, int]):
    """Returns the share of each cell of a grid over a mask that is inside the mask.

    Args:
        mask: bool (H, W), at least one pixel.
        shape: (h, w), the number of cells, which need not consist of whole pixels.

    Returns:
        float32 (h, w), 0..1.
    """
    return _cell_means(_cell_means(mask, shape[0]).T, shape[1]).T


def _cell_means(values, cells):
    """Returns the means over cells that divide the first axis into equal parts."""
    # Repeated so often that cells have at least one value.
    values = np.repeat(values, -(-cells // len(values)), axis=0)
    size = len(values)
    # Edge i of the cells is at i * size / cells: whole values, and part of the next.
    whole, part = np.divmod(np.arange(cells) * size, cells)
    sums = np.add.reduceat(values, whole, axis=0, dtype=np.float32)
    cut = values[whole[1:]] * (part[1:, None] / np.float32(cells))
    sums[:-1] += cut
    sums[1:] -= cut
    return sums * np.float32(cells / size)
