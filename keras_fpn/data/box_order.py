"""Orders of the four numbers of a box, and how to notice a wrong one."""

import numpy as np


def _from_sides(boxes):
    """x, y, width, height -> xyxy."""
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def _from_center(boxes):
    """center x, center y, width, height -> xyxy."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


# Name -> function from float (G, 4) in that order to xyxy.
ORDERS = {
    "x1, y1, x2, y2": lambda boxes: boxes,
    "x, y, width, height": _from_sides,
    "center x, center y, width, height": _from_center,
    "x1, x2, y1, y2": lambda boxes: boxes[..., [0, 2, 1, 3]],
    "y1, x1, y2, x2": lambda boxes: boxes[..., [1, 0, 3, 2]],
}
_FEW = 3  # wrong boxes up to this number do not suggest another order
_TOLERANCE = 1.5  # pixels by which a box may leave its photo and still count as inside


def check_order(photos, order, fractions, source):
    """Raises if most boxes make no sense as read, but all do in another order.

    Args:
        photos: list of (path, (height, width), boxes as stated, float64 (G, 4)).
        order: str, a key of ORDERS, in which they are read.
        fractions: bool, True if they are read as fractions of the sides of the photo.
        source: str, format and path of the data set, for the message.

    Raises:
        ValueError: more than half of the boxes leave their photos or have no area, or
            those read as pixels all lie within the first, and all fit another order
            or unit.
    """
    if not photos:
        return
    sizes = np.array([size for _, size, _ in photos], np.float64)[:, ::-1]
    sizes = np.repeat(sizes, [len(boxes) for _, _, boxes in photos], axis=0)
    stated = np.concatenate([boxes for _, _, boxes in photos])
    finite = np.isfinite(stated).all(axis=1)
    stated, sizes = stated[finite], np.tile(sizes[finite], 2)
    if len(stated) < _FEW:
        return
    as_read = ORDERS[order](stated * sizes if fractions else stated)
    wrong = ~_fits(as_read, sizes)
    tiny = not fractions and stated.max() <= 1
    if not tiny and (wrong.sum() < _FEW or wrong.mean() <= 0.5):
        return
    for unit, scale in (("pixels", np.ones_like(sizes)), ("fractions", sizes)):
        if (unit == "fractions") != (stated.max() <= 1.01):
            continue
        for name, to_corners in ORDERS.items():
            if _fits(to_corners(stated * scale), sizes).all():
                example = int(np.argmax(wrong))
                raise ValueError(
                    f"A box must be stated as {order}, in {_unit_name(fractions)}; "
                    f"received {source}, with "
                    f"{len(stated) if tiny else wrong.sum()} of {len(stated)} "
                    f"impossible boxes, such as {stated[example].tolist()} in a photo "
                    f"of {sizes[example][0]:g}x{sizes[example][1]:g}. All of them fit "
                    f"if read as {name}, in {_unit_name(unit == 'fractions')}. Write "
                    "them in the order and unit of this format."
                )


def _fits(boxes, sizes):
    """Returns which boxes have an area and lie in their photos, bool (n,)."""
    area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    inside = ((boxes >= -_TOLERANCE) & (boxes <= sizes + _TOLERANCE)).all(axis=1)
    return area & inside


def _unit_name(fractions):
    return "fractions of the photo's sides" if fractions else "pixels"
