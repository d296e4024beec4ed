"""Draws detections: boxes with names and scores, under a title."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw

from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize.colors import check_labels, class_color, ink
from keras_fpn.visualize.lettering import enlarged, font_for, letter_size, with_title

_LINE_SHARE = 1 / 6  # of the font,
_BOX_SHARE = 1 / 16  # and at most of the box's shorter side


def draw_detections(
    photo,
    boxes,
    labels,
    scores,
    class_names: Sequence[str],
    title: str | None = None,
    enlarge: bool = True,
    colors=None,
):
    """Draws boxes with the names and scores of their classes.

    Lines and letters grow with the photo; a very small photo is first enlarged by a
    whole factor, unless `enlarge` is False. Lines lie outside the boxes, and are thin
    around small ones, so that an object's own edge stays visible. Each class has its
    own color, the same in every picture; where there is only one class, its name is
    left out. Boxes with higher scores are on top, and their labels are placed first.
    Where a label would hide another one, or more than a quarter of a box, wherever it
    lies, it is left out if it is wider than its own box.

    Args:
        photo: path, PIL image or uint8 array; see `read_photo`.
        boxes: float (n, 4), xyxy, pixels of the photo. They are clipped to the photo;
            those wholly outside are not drawn.
        labels: int (n,), 0..len(class_names) - 1.
        scores: float (n,), 0..1; None for ground truth, which has none.
        class_names: names by label.
        title: text on a strip above the photo; None for no strip.
        enlarge: whether a small photo is enlarged until letters hide little of it.
        colors: int (n,), 0 or more, numbers of colors, see `class_color`; None for the
            labels.

    Returns:
        PIL.Image in RGB: the photo's size times the factor, plus the strip.

    Raises:
        ValueError: the photo cannot be read; the numbers of boxes, labels, scores and
            colors differ; one is not finite; a label has no name; a color is negative.
    """
    pixels = read_photo(photo)
    written = [""] * len(labels)
    if scores is None:
        scores = np.ones(len(labels))
    else:
        written = [f"{score:.2f}" for score in scores]
    boxes, labels, scores = _checked(boxes, labels, scores, class_names)
    colors = labels if colors is None else _checked_colors(colors, labels)
    height, width = pixels.shape[:2]
    seen = (boxes[:, :2] < [width, height]).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    boxes, labels, scores, colors = (a[seen] for a in (boxes, labels, scores, colors))
    written = [text for text, kept in zip(written, seen, strict=True) if kept]
    boxes = np.clip(boxes, 0, [width, height, width, height])
    picture, factor = enlarged(pixels, enlarge)
    names = [" ".join(str(class_names[label]).split()) for label in labels]
    if len(class_names) == 1:
        names = [""] * len(names)
    boxes = boxes * factor
    pen = _Pen(picture, boxes, names if title is None else [*names, title])
    best_first = np.argsort(-scores, kind="stable")
    for i in best_first[::-1]:
        pen.draw_box(boxes[i], class_color(colors[i]))
    for i in best_first:
        pen.add_label(boxes[i], names[i], written[i], class_color(colors[i]))
    pen.draw_labels()
    return picture if title is None else with_title(picture, title, pen.font)


def _checked(boxes, labels, scores, class_names):
    """Returns float64 (n, 4), int (n,) and float64 (n,); raises if they do not fit."""
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    boxes = np.asarray(boxes, np.float64)
    boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
    if not boxes.shape == (*labels.shape, 4) == (*scores.shape, 4) or boxes.ndim != 2:
        raise ValueError(
            "There must be as many boxes, (n, 4), as labels and scores, (n,); received "
            f"boxes of shape {boxes.shape}, labels {labels.shape}, scores "
            f"{scores.shape}."
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError(
            "Boxes and scores must be finite; received "
            f"boxes={boxes.tolist()}, scores={scores.tolist()}."
        )
    check_labels(labels, class_names)
    return boxes, labels.astype(int), scores


def _checked_colors(colors, labels):
    """Returns int (n,); raises if they are not one for each label."""
    colors = np.asarray(colors)
    if colors.shape != labels.shape or (colors < 0).any():
        raise ValueError(
            f"Colors must be 0 or more, one for each of {len(labels)} labels; received "
            f"{colors.tolist()}."
        )
    return colors


class _Pen:
    """Draws on one picture, in sizes that fit it.

    Attributes:
        font: Pillow font; its size is a fraction of the picture's side.
        line: int, width of the lines of large boxes, pixels.
    """

    def __init__(self, picture, boxes, texts):
        size = letter_size(picture)
        self.font = font_for(texts, size)
        self.line = math.ceil(size * _LINE_SHARE)
        self._rim = max(1, self.line // 4)
        self._boxes = boxes
        self._size = np.array([picture.width, picture.height])
        self._draw = ImageDraw.Draw(picture)
        self._labels = []  # (position xyxy, text, color), in the order of adding

    def draw_box(self, box, color):
        """Draws a line around a box between two thin contrasting ones.

        It lies outside the box, except at the picture's border.
        """
        line, rim = self._line_of(box), self._rim
        x1, y1, x2, y2 = self._around(box, line + rim).tolist()
        outer = (x1 - rim, y1 - rim, x2 + rim - 1, y2 + rim - 1)
        self._draw.rectangle(outer, outline=ink(color), width=line + 2 * rim)
        self._draw.rectangle((x1, y1, x2 - 1, y2 - 1), outline=color, width=line)

    def _around(self, box, distance):
        """Returns a box extended to all sides within the picture, int xyxy."""
        extended = np.rint(box).astype(int) + np.multiply(distance, [-1, -1, 1, 1])
        low, high = [0, 0, 1, 1], [*(self._size - 1), *self._size]
        return np.clip(extended, low, high)

    def _line_of(self, box):
        """Returns the width of a box's line, int: thin around a small box."""
        shorter = float((box[2:] - box[:2]).min())
        return min(self.line, math.ceil(shorter * _BOX_SHARE)) or 1

    def add_label(self, box, name, score, color):
        """Chooses the position of a box's label; `draw_labels` draws it.

        A label that would hide others, or boxes, is left out if it is wider than its
        own box.
        """
        text = self._fitted(name, score)
        margin = self._margin()
        size = np.array([self.font.getlength(text) + 2 * margin, self._label_height()])
        outline = self._around(box, self._line_of(box) + 2 * self._rim)
        place, hidden = self._free_place(outline, np.ceil(size))
        if text and not (hidden and size[0] > outline[2] - outline[0]):
            self._labels.append((place, text, color))

    def draw_labels(self):
        """Draws the labels, the first added on top."""
        for place, text, color in reversed(self._labels):
            x1, y1, x2, y2 = place.tolist()
            ground = (x1, y1, x2 - 1, y2 - 1)
            self._draw.rectangle(ground, color, ink(color), self._rim)
            start = (x1 + self._margin(), (y1 + y2) / 2)
            self._draw.text(start, text, fill=ink(color), font=self.font, anchor="lm")

    def _margin(self):
        return max(2, self.line)

    def _label_height(self):
        return sum(self.font.getmetrics()) + self._margin() // 2

    def _fitted(self, name, score):
        """Returns name and score, the name shortened if the picture is too narrow."""
        room = self._size[0] - 2 * self._margin()
        text = f"{name} {score}".strip()
        while name and self.font.getlength(text) > room:
            name = name[:-1].rstrip()
            text = f"{name}… {score}".rstrip() if name else score
        return text

    def _free_place(self, box, size):
        """Returns the position near a box, xyxy, that hides least, and how much.

        Labels that it covers count, and boxes of which it covers more than a quarter.
        """
        x1, y1, x2, y2 = box
        width, height = size
        rows = [y1 - height, y1, y2, y2 - height]
        rows += list(np.arange(y1 + height, y2 - height, height))
        corners = np.array([(x, y) for y in rows for x in (x1, x2 - width)])
        corners = np.clip(np.rint(corners), 0, np.maximum(self._size - size, 0))
        places = np.concatenate([corners, corners + size], axis=1)
        taken = np.array([place for place, _, _ in self._labels]).reshape(-1, 4)
        covered = _shared_areas(places, self._boxes)
        areas = (self._boxes[:, 2:] - self._boxes[:, :2]).prod(axis=1)
        hidden = _shared_areas(places, taken).sum(axis=1)
        hidden += np.where(covered > areas / 4, covered, 0).sum(axis=1)
        best = int(np.argmin(hidden))
        return places[best], hidden[best]


def _shared_areas(boxes, others):
    """Returns the areas that boxes (n, 4) share with others (m, 4), float (n, m)."""
    boxes = boxes[:, None]
    corner = np.minimum(boxes[..., 2:], others[:, 2:])
    sides = np.maximum(corner - np.maximum(boxes[..., :2], others[:, :2]), 0)
    return sides.prod(axis=-1)
