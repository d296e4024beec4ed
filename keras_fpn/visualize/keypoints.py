"""Draws keypoints, and lines between them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from keras_fpn.data.polygons import clip_polygon
from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize.colors import check_labels, class_color, ink

# The side of a picture is the root of its area.
_POINT_SHARE = 1 / 130  # radius of a keypoint, as a share of the side


def draw_keypoints(
    photo, keypoints, labels, skeleton: Sequence[tuple[int, int]] = ()
) -> Image.Image:
    """Draws keypoints as disks in the colors of their objects; hidden ones as circles.

    The picture is a photo again: `draw_detections` takes it.

    Args:
        photo: path, PIL image or uint8 array; see `read_photo`.
        keypoints: float (n, J, 3), x, y, pixels of the photo, and visibility: 0 not
            drawn, 1 hidden, 2 visible. Those of the first object are on top.
        labels: int (n,), 0 or more.
        skeleton: pairs of ints, 0..J - 1, keypoints that a line joins.

    Returns:
        PIL.Image in RGB, as large as the photo.

    Raises:
        ValueError: the photo cannot be read; keypoints and labels differ in number, or
            are not finite; a label is negative; skeleton has an invalid index.
    """
    picture = Image.fromarray(read_photo(photo).copy())
    keypoints, labels = np.asarray(keypoints, np.float64), np.asarray(labels)
    if keypoints.size == labels.size == 0:
        return picture
    if keypoints.shape[:1] != labels.shape or keypoints.shape[2:] != (3,):
        raise ValueError(
            "There must be as many keypoints, (n, J, 3), as labels, (n,); "
            f"received keypoints of shape {keypoints.shape}, labels {labels.shape}."
        )
    check_labels(labels)
    places = sorted({int(place) for pair in skeleton for place in pair})
    if places and not 0 <= places[0] <= places[-1] < keypoints.shape[1]:
        raise ValueError(
            f"skeleton must join keypoints 0..{keypoints.shape[1] - 1}; received "
            f"skeleton with {places}."
        )
    if not np.isfinite(keypoints).all():
        raise ValueError(
            f"Keypoints must be finite; received keypoints={keypoints.tolist()}."
        )
    draw = ImageDraw.Draw(picture)
    radius = max(2, round((picture.width * picture.height) ** 0.5 * _POINT_SHARE))
    for points, label in zip(keypoints[::-1], labels[::-1], strict=True):
        _draw_points(draw, points, skeleton, class_color(label), radius)
    return picture


def _draw_points(draw, points, skeleton, color, radius):
    """Draws the lines of one object, then its points, each with a contrasting rim."""
    rim, edge = max(1, radius // 4), ink(color)
    line = max(1, radius // 2)
    joined = [points[list(pair)] for pair in skeleton]
    lines = [ends[:, :2] for ends in joined if (ends[:, 2] > 0).all()]
    # Pillow visits every pixel of a thin line, even far outside the picture.
    reach = max(draw.im.size)
    low, high = (-reach, -reach), (2 * reach, 2 * reach)
    lines = [clip_polygon(ends, low, high).ravel().tolist() for ends in lines]
    for width, fill in ((line + 2 * rim, edge), (line, color)):
        for ends in filter(None, lines):
            draw.line(ends, fill, width)
    shown = (points[:, 2] > 0) & (np.abs(points[:, :2]) <= high).all(axis=1)
    for x, y, visibility in points[shown].tolist():
        # The pixel with its center at x + 0.5 has the index x.
        middle = x - 0.5, y - 0.5
        draw.circle(middle, radius + rim, edge)
        draw.circle(middle, radius, color)
        if visibility == 1:
            draw.circle(middle, radius - max(1, radius // 2), edge)
