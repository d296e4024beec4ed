"""Pictures of training photos with their objects, as a detector sees them."""

import itertools
import math
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fpn.data.pixel_labels import IGNORED
from keras_fpn.models.pasted_masks import ExactPaste, full_masks
from keras_fpn.report.pictures import picture_paths, save_picture
from keras_fpn.visualize import (
    color_numbers,
    draw_detections,
    draw_keypoints,
    draw_masks,
    draw_semantic,
)

CONTACT_SHEET = "contact_sheet.jpg"
_THUMBNAIL = 400  # pixels, the longer side of a picture in the contact sheet
_GAP = 8  # pixels between them


def draw_training_photos(loader, folder: str | Path, count: int, epoch: int = 0):
    """Saves pictures of the first photos of an epoch, and of all of them together.

    Photos are shown as training sees them: augmented, resized, with their padding cut
    off, and with boxes, masks, keypoints and semantic maps drawn onto them.

    Args:
        loader: `keras_fpn.data.Loader` with batches of one photo.
        folder: where the pictures go, as JPEG; the contact sheet is
            "contact_sheet.jpg" there.
        count: how many photos at most.
        epoch: from 0; augmentations differ between epochs.

    Returns:
        list of Path, one for each photo that could be read.

    Raises:
        OSError: a file cannot be written.
    """
    folder = Path(folder)
    batches = loader.batches(epoch)[:count]
    photos = [loader.dataset[batch.indices[0]] for batch in batches]
    sheet = folder / CONTACT_SHEET
    paths = picture_paths([sheet, *(photo.path for photo in photos)], folder)[1:]
    drawn, thumbnails = [], []
    for photo, batch, path in zip(photos, batches, paths, strict=True):
        x, y, weight = loader.load(batch, epoch)
        if weight[0] == 0:  # it could not be read
            continue
        picture = _picture(photo, x, y, loader.dataset)
        drawn.append(save_picture(picture, path.with_suffix(".jpg")))
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        thumbnails.append(picture)
    if thumbnails:
        save_picture(_contact_sheet(thumbnails), sheet)
    return drawn


def _picture(photo, x, y, dataset):
    """Returns the picture of the one photo in a batch, with a title."""
    height, width = (int(side) for side in x["image_sizes"][0])
    pixels = np.rint(x["images"][0, :height, :width]).astype(np.uint8)
    rows = y["labels"][0] >= 0
    labels = y["labels"][0][rows]
    colors = color_numbers(labels, dataset.class_names)
    picture, factor = Image.fromarray(pixels), 1
    if "semantic_map" in y:
        picture = _with_semantic(pixels, y["semantic_map"][0, :height, :width], dataset)
        factor = picture.width // width
    if "masks" in y:
        crops, windows = y["masks"][0][rows] / 255, y["mask_windows"][0][rows]
        size = height * factor, width * factor
        masks = full_masks(crops, windows * factor, size, ExactPaste())
        picture = draw_masks(picture, masks, colors)
    if "keypoints" in y:
        points = y["keypoints"][0][rows] * [factor, factor, 1]
        picture = draw_keypoints(picture, points, colors, dataset.skeleton)
    crowds = int(y["is_crowd"][0].sum())
    padded_height, padded_width = x["images"].shape[1:3]
    title = (
        f"{photo.path.name}: {photo.width}x{photo.height}, seen as {width}x{height} in "
        f"{padded_width}x{padded_height}; objects: {len(labels) - crowds}"
    )
    title += f", crowd regions: {crowds}" if crowds else ""
    boxes = y["boxes"][0][rows] * factor
    names = dataset.class_names
    return draw_detections(picture, boxes, labels, None, names, title, colors=colors)


def _with_semantic(pixels, labels, dataset):
    """Returns the picture of a semantic map, enlarged if it is small, without things.

    Things are drawn as objects, which tells one from the next.
    """
    if dataset.stuff_names:
        labels = np.where(labels == 0, IGNORED, labels)
    return draw_semantic(pixels, labels, dataset.semantic_names)


def _contact_sheet(pictures):
    """Returns pictures in a grid, each centered in its cell.

    A row is as high as its highest picture, a column as wide as its widest.
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = [
        pictures[start : start + columns] for start in range(0, len(pictures), columns)
    ]
    heights = [max(one.height for one in row) for row in rows]
    widths = [max(one.width for one in pictures[n::columns]) for n in range(columns)]
    lefts, tops = _starts(widths), _starts(heights)
    sheet = Image.new("RGB", (lefts[-1], tops[-1]), "white")
    for row, (top, height) in zip(rows, zip(tops, heights, strict=False), strict=True):
        for one, left, width in zip(row, lefts, widths, strict=False):
            place = left + (width - one.width) // 2, top + (height - one.height) // 2
            sheet.paste(one, place)
    return sheet


def _starts(lengths):
    """Returns where cells of these lengths begin, and where the next one would."""
    return list(itertools.accumulate((one + _GAP for one in lengths), initial=_GAP))
