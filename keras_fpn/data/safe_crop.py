"""Crops samples without losing all of their objects."""

import dataclasses

import numpy as np

from keras_fpn.data.limits import check_share
from keras_fpn.data.sample import clip_boxes, crop_sample, has_area


@dataclasses.dataclass(frozen=True)
class SafeCrop:
    """Crops a sample to a random window that contains the center of an object.

    The height and width of the window are sampled independently, then one object that
    is not a crowd region, then a position of the window at which it contains the center
    of the box of that object, or the pixel of its mask nearest to that. No position is
    tried in vain.

    Objects whose box keeps less than min_visible of its area are dropped, unless their
    center is inside; crowd regions stay if any part of them does. Without objects, the
    window may be anywhere.

    Args:
        probability: float, 0..1, of cropping.
        low: float, 0..1, least height and width of the window, as shares of the image.
        min_visible: float, 0..1, share of the area of a box.

    Call arguments:
        sample: dict; see keras_fpn.data.sample.
        generator: numpy.random.Generator; see `random_generator`.

    Returns:
        dict, the sample. It keeps an object if one with an area was inside the image.

    Raises:
        ValueError: an argument is outside 0..1.
    """

    probability: float = 0.5
    low: float = 0.3
    min_visible: float = 0.25

    def __post_init__(self):
        check_share(
            probability=self.probability, low=self.low, min_visible=self.min_visible
        )

    def __call__(self, sample, generator):
        randoms = generator.random(6)
        if randoms[0] >= self.probability:
            return sample
        height, width = sample["image"].shape[:2]
        sides = np.array([width, height])
        shares = self.low + randoms[1:3] * (1 - self.low)
        window = np.maximum(np.rint(sides * shares), 1).astype(int)
        first, last = np.zeros(2, int), sides - window
        inside = clip_boxes(sample["boxes"], (0, 0, width, height))
        wanted = np.flatnonzero(has_area(inside) & ~sample["is_crowd"])
        if len(wanted):
            row = wanted[int(randoms[3] * len(wanted))]
            mask = sample["masks"][row] if "masks" in sample else None
            center = _center_pixel(inside[row], mask)
            first = np.maximum(center - window + 1, 0)
            last = np.minimum(center, last)
        corner = first + np.floor(randoms[4:] * (last - first + 1)).astype(int)
        window = (*corner.tolist(), *(corner + window).tolist())
        return crop_sample(sample, window, keep=self._kept(sample, window))

    def _kept(self, sample, window):
        """Returns bool (G,), the objects of which the window shows enough."""
        height, width = sample["image"].shape[:2]
        inside = clip_boxes(sample["boxes"], (0, 0, width, height))
        centers = (inside[:, :2] + inside[:, 2:]) / 2
        central = ((centers >= window[:2]) & (centers <= window[2:])).all(axis=1)
        visible = _areas(clip_boxes(inside, window))
        enough = visible >= self.min_visible * _areas(inside)
        if "masks" in sample:
            for row in np.flatnonzero(~(central | enough | sample["is_crowd"])):
                x, y = _center_pixel(inside[row], sample["masks"][row])
                x_in, y_in = window[0] <= x < window[2], window[1] <= y < window[3]
                central[row] = x_in and y_in
        return central | enough | sample["is_crowd"]


def _center_pixel(box, mask):
    """Returns int (2,), x and y of the pixel at the center of a box, or the nearest one
    of the mask.

    Args:
        box: float (4,), xyxy, inside the image, with an area.
        mask: bool (H, W), or None; one without pixels in the box counts as none.
    """
    center = (box[:2].astype(np.float64) + box[2:]) / 2
    x1, y1 = np.floor(box[:2]).astype(int)
    x2, y2 = np.ceil(box[2:]).astype(int)
    if mask is None or not mask[y1:y2, x1:x2].any():
        return np.floor(center).astype(int)
    y, x = np.nonzero(mask[y1:y2, x1:x2])
    pixels = np.stack([x + x1, y + y1], axis=1)
    distances = ((pixels + 0.5 - center) ** 2).sum(axis=1)
    return pixels[distances.argmin()]


def _areas(boxes):
    """Returns float32 (G,), square pixels, of boxes float32 (G, 4), xyxy."""
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
