"""Pictures of mistakes: a crop of the photo with the boxes of detection and object."""

import itertools

import numpy as np
from PIL import Image, ImageDraw

from keras_fpn.preprocessing import read_photo
from keras_fpn.report.mistakes import Mistake
from keras_fpn.visualize import class_color

SIZE = 480, 360  # pixels, width and height of a picture
_CONTEXT = 0.5  # shown around the boxes, in lengths of their sides
_MIN_WIDTH = 64  # pixels of the photo: tiny objects need more surroundings
_LINE, _RIM = 4, 1  # pixels
_DASH, _DOT = 12, 5  # pixels
_BLACK = (0, 0, 0)


def draw_mistake(mistake: Mistake, photo, labels: dict):
    """Returns the picture of a mistake, PIL.Image in RGB of at most `SIZE`.

    The box of a detection has solid lines and that of an object dashed lines, in the
    color of its class; that of the object that the detection is matched with has dotted
    lines.

    Args:
        mistake: `keras_fpn.report.Mistake`.
        photo: path, PIL image or uint8 array; see `read_photo`.
        labels: category id -> label, which decides on the color.

    Raises:
        ValueError: the photo cannot be read.
    """
    pixels = read_photo(photo)
    own, other = mistake.category_id, mistake.other_category_id
    own_mark, other_mark = (_DASH, None) if mistake.score is None else (None, _DASH)
    outlines = [
        (mistake.box, own, own_mark),
        (mistake.other_box, other, other_mark),
        (mistake.matched_box, other, _DOT),
    ]
    outlines = [outline for outline in outlines if outline[0] is not None]
    boxes = [box for box, _, _ in outlines]
    left, top, right, bottom = window(boxes, pixels.shape[:2])
    cut = Image.fromarray(pixels[top:bottom, left:right])
    scale = min(SIZE[0] / cut.width, SIZE[1] / cut.height)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    picture = cut.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for box, category, mark in outlines:
        scaled = (np.array(box) - [left, top, left, top]) * np.tile(
            np.array(size) / cut.size, 2
        )
        _draw_box(draw, scaled, class_color(labels[category]), mark, size)
    return picture


def window(boxes, photo_size):
    """Returns the part of a photo that shows boxes and their surroundings.

    Args:
        boxes: list of xyxy, pixels of the photo.
        photo_size: height and width of the photo, pixels.

    Returns:
        left, top, right, bottom: ints within the photo, in the proportions of `SIZE`
        unless the photo is too small.
    """
    boxes = np.array(boxes, float)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    sides = (high - low) * (1 + 2 * _CONTEXT)
    width = max(sides[0], sides[1] * SIZE[0] / SIZE[1], _MIN_WIDTH)
    sides = np.array([width, width * SIZE[1] / SIZE[0]])
    photo = np.array(photo_size[::-1], float)
    sides = np.minimum(sides, photo)
    corner = np.clip((low + high - sides) / 2, 0, photo - sides)
    left, top = np.floor(corner).astype(int)
    right, bottom = np.minimum(np.ceil(corner + sides), photo).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _draw_box(draw, box, color, mark, size):
    """Draws a box's outline, with a dark rim that makes it stand out.

    Args:
        mark: length of its marks and gaps, about, in pixels; None for a solid line.
    """
    inset = _LINE // 2 + _RIM  # keeps lines on the border at their full width
    limit = np.tile(np.array(size) - 1 - inset, 2)
    x1, y1, x2, y2 = np.clip(np.rint(box), inset, limit).astype(int).tolist()
    corners = (x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)
    for ink, width in ((_BLACK, _LINE + 2 * _RIM), (color, _LINE)):
        for start, end in itertools.pairwise(corners):
            _draw_side(draw, np.array(start), np.array(end), ink, width, mark)


def _draw_side(draw, start, end, ink, width, mark):
    length = float(np.abs(end - start).max())
    pieces = max(1, round(length / mark)) // 2 * 2 + 1 if mark else 1
    marks = np.linspace(start, end, pieces + 1)
    for first, last in zip(marks[:-1:2], marks[1::2], strict=True):
        draw.line([*first.tolist(), *last.tolist()], ink, width)
