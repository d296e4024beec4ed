"""Draws semantic and panoptic maps: a tint, outlines and names."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from keras_fpn.data.masks import mask_extents
from keras_fpn.data.pixel_labels import IGNORED, ranked
from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize.colors import BLACK, WHITE, check_labels, class_color
from keras_fpn.visualize.lettering import enlarged, font_for, letter_size, with_title

_TINT = 40  # percent, opacity of the color of a segment
_OUTLINE_SHARE = 1 / 500  # of the side, the root of the picture's area
_ROOMS = (4, 2, 1)  # how much larger than a name the place for it is to be
_OWN = 0.9  # least share of that place that is of the segment


def draw_semantic(
    photo,
    semantic_map,
    class_names: Sequence[str],
    title: str | None = None,
    enlarge: bool = True,
):
    """Tints every class in its color, outlines it and writes its name.

    Args:
        photo: path, PIL image or uint8 array; see `read_photo`.
        semantic_map: uint8 (H, W), indices into class_names; 255 is not tinted.
        class_names: K str.
        title: text on a strip above the photo; None for no strip.
        enlarge: whether a small photo is enlarged, as by `draw_detections`.

    Returns:
        PIL.Image in RGB: the photo's size times the factor, plus the strip.

    Raises:
        ValueError: the photo cannot be read, the map has another size, or a value has
            no name.
    """
    pixels = read_photo(photo)
    labels = np.asarray(semantic_map)
    _check_size(labels, pixels, "semantic_map")
    present = [value for value in np.unique(labels).tolist() if value != IGNORED]
    check_labels(present, class_names)
    ranks, _ = ranked(
        np.where(labels == IGNORED, 0, labels.astype(np.int32) + 1),
        np.array(present, int) + 1,
    )
    colors = [class_color(value) for value in present]
    names = [class_names[value] for value in present]
    return _drawn(pixels, ranks, colors, names, title, enlarge)


def draw_panoptic(
    photo,
    panoptic_map,
    segments: Sequence[dict],
    class_names: Sequence[str],
    stuff_names: Sequence[str],
    title: str | None = None,
    enlarge: bool = True,
):
    """Tints every segment in the color of its class, outlines it and writes its name.

    Things have the colors that `draw_detections` gives them.

    Args:
        photo: path, PIL image or uint8 array; see `read_photo`.
        panoptic_map: int (H, W), ids of segments, 0 for none.
        segments: list of dict of "id", "label" and "isthing".
        class_names, stuff_names: names of things and of stuff, by label.
        title: text on a strip above the photo; None for no strip.
        enlarge: whether a small photo is enlarged, as by `draw_detections`.

    Returns:
        PIL.Image in RGB, as of `draw_semantic`.

    Raises:
        ValueError: the photo cannot be read, the map has another size or an id without
            a segment, or a label has no name.
    """
    pixels = read_photo(photo)
    numbers = np.asarray(panoptic_map)
    _check_size(numbers, pixels, "panoptic_map")
    ids = np.array([segment["id"] for segment in segments], int)
    ranks, unknown = ranked(numbers, ids)
    if unknown:
        raise ValueError(
            "Every number in a panoptic map must be the id of a segment; received "
            f"{unknown[:5]} and segments {ids.tolist()}."
        )
    colors, names = [], []
    for segment in segments:
        label, is_thing = int(segment["label"]), segment["isthing"]
        listed = class_names if is_thing else stuff_names
        check_labels([label], listed)
        colors.append(class_color(label if is_thing else len(class_names) + label))
        names.append(listed[label])
    return _drawn(pixels, ranks, colors, names, title, enlarge)


def _check_size(labels, pixels, name):
    if labels.shape != pixels.shape[:2]:
        raise ValueError(
            "A map must have the height and width of its photo, "
            f"{pixels.shape[:2]}; received {name} of shape {labels.shape}."
        )


def _drawn(pixels, ranks, colors, names, title, enlarge):
    """Returns the picture of a map.

    Args:
        pixels: uint8 (H, W, 3).
        ranks: uint16 (H, W), 1 + the index of the segment of each pixel, or 0.
        colors: list of S (R, G, B).
        names: list of S str.
        title: str or None.
        enlarge: bool.
    """
    picture, factor = enlarged(pixels, enlarge)
    ranks = ranks.repeat(factor, axis=0).repeat(factor, axis=1)
    palette = np.array([BLACK, *colors], np.uint16)[ranks]
    large = np.asarray(picture)
    tinted = ((100 - _TINT) * large.astype(np.uint16) + _TINT * palette + 50) // 100
    side = math.prod(ranks.shape) ** 0.5
    outline = _outline(ranks, max(1, round(side * _OUTLINE_SHARE)))
    tinted = np.where((outline & (ranks > 0))[..., None], palette, tinted)
    tinted = np.where((ranks > 0)[..., None], tinted, large).astype(np.uint8)
    picture = Image.fromarray(tinted)
    names = [" ".join(str(name).split()) for name in names]
    font = font_for([*names, title or ""], letter_size(picture))
    draw = ImageDraw.Draw(picture)
    rim = max(1, round(font.size / 10))
    height = sum(font.getmetrics())
    for index, name in enumerate(names):
        place = _place(ranks == index + 1, (height, font.getlength(name) + 2 * rim))
        if place is not None:
            y, x = place
            draw.text(
                (x, y), name, WHITE, font, "mm", stroke_width=rim, stroke_fill=BLACK
            )
    return picture if title is None else with_title(picture, title, font)


def _outline(ranks, width):
    """Returns bool (H, W), pixels nearer than that to a pixel of another segment."""
    edge = np.zeros(ranks.shape, bool)
    for seen, numbers in ((edge, ranks), (edge.T, ranks.T)):  # along columns, then rows
        for step in range(1, width + 1):
            differs = numbers[step:] != numbers[:-step]
            seen[:-step] |= differs
            seen[step:] |= differs
    return edge


def _place(mask, size):
    """Returns the center, y and x, of a place for a name inside a mask, or None.

    Args:
        mask: bool (H, W).
        size: height and width of the name, pixels.
    """
    x1, y1, x2, y2 = mask_extents(mask[None])[0].tolist()
    own = mask[y1:y2, x1:x2]
    for room in _ROOMS:
        sides = [math.ceil(side * room) for side in size]
        if sides[0] > own.shape[0] or sides[1] > own.shape[1]:
            continue
        counts = _window_sums(own, *sides)
        most = counts.max()
        if most >= _OWN * sides[0] * sides[1]:
            best = np.argwhere(counts == most)
            middle = best.mean(axis=0)
            corner = best[((best - middle) ** 2).sum(axis=1).argmin()]
            return y1 + corner[0] + sides[0] / 2, x1 + corner[1] + sides[1] / 2
    return None


def _window_sums(mask, height, width):
    """Returns int, how many pixels of a mask each window has, by its upper left one."""
    sums = np.pad(mask.astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows = sums[height:] - sums[:-height]
    return rows[:, width:] - rows[:, :-width]
