"""Draws photos of a data set with their objects as a detector sees them in training."""

import math
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fpn.cli.errors import CommandError, one_line
from keras_fpn.cli.load_detector import DEFAULT_PRESET
from keras_fpn.cli.photo_files import picture_paths
from keras_fpn.data import augment
from keras_fpn.data.loader import Loader
from keras_fpn.files import replacing
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.report.anchor_coverage import anchor_coverage, level_strides

SHEET = "contact_sheet.jpg"
_THUMBNAIL = 400  # pixels, a picture's longer side in the contact sheet
_GAP = 8  # pixels between them
_JPEG = {"format": "JPEG", "quality": 92}


def look(dataset, arguments):
    """Draws photos and prints which objects no anchor reaches; returns the exit code.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        arguments: the command line's, see `keras_fpn.cli.data`.

    Raises:
        CommandError: no such preset, or options that do not fit the data set.
    """
    output = arguments.output
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--output must be a folder: {one_line(error)}") from error
    try:
        anchors, strides, preprocessing = _detector(arguments)
        loader = _loader(dataset, preprocessing, arguments)
    except ValueError as error:
        raise CommandError(one_line(error)) from error
    coverage = anchor_coverage(dataset, anchors, strides, preprocessing)
    print(f"\n{coverage.report()}")
    print(
        "An object without an anchor of IoU 0.7 trains with the best it has. If many "
        "have none of 0.5, resize to more by --min-size, or build the detector with "
        "anchors of other sizes."
    )
    pictures = _draw(loader, arguments.epoch, arguments.count, output)
    for reason in loader.skipped.values():
        print(reason, file=sys.stderr)
    print(f"\n{len(pictures)} photos in {output}; together: {output / SHEET}")
    return 1 if loader.skipped else 0


def _detector(arguments):
    """Returns the anchors, strides and Preprocessing that the command line asks for."""
    import keras_fpn

    name = arguments.preset or DEFAULT_PRESET
    model = keras_fpn.from_preset(name, load_weights=False)
    config = model.preprocessing.to_config()
    for side in ("min_size", "max_size"):
        if getattr(arguments, side) is not None:
            config[side] = getattr(arguments, side)
    config["max_size"] = max(config["min_size"], config["max_size"])
    strides = level_strides(model)
    return model.anchors, strides, Preprocessing.from_config(config)


def _loader(dataset, preprocessing, arguments):
    """Returns a Loader of the data set with the augmentations that are asked for."""
    low, high = preprocessing.min_size, preprocessing.max_size
    lengths = tuple(round(low * share) for share in (0.8, 0.85, 0.9, 0.95, 1))
    made = {
        "flip": augment.RandomFlip(flip_pairs=dataset.flip_pairs),
        "crop": augment.SafeCrop(),
        "colour": augment.Photometric(),
        "scale": augment.MultiScale(lengths, high),
        "jitter": augment.LargeScaleJitter(high),
        "paste": augment.CopyPaste(),
    }
    objects = [photo.objects for photo in dataset.photos if len(photo.objects)]
    return Loader(
        dataset,
        preprocessing,
        batch_size=1,
        augment=[made[name] for name in arguments.augment],
        seed=arguments.seed,
        shuffle=True,
        masks=bool(objects) and all(each.segments is not None for each in objects),
        on_error="skip",
    )


def _draw(loader, epoch, count, output):
    """Draws the first photos of an epoch and the sheet; returns their paths."""
    batches = loader.batches(epoch)[:count]
    photos = [loader.dataset[batch.indices[0]] for batch in batches]
    paths = picture_paths([Path(SHEET), *(photo.path for photo in photos)], output)
    drawn, thumbnails = [], []
    for photo, batch, path in zip(photos, batches, paths[1:], strict=True):
        with warnings.catch_warnings():  # skipped photos are named at the end
            warnings.simplefilter("ignore")
            x, y, weight = loader.load(batch, epoch)
        if weight[0] == 0:
            continue
        picture = _picture(photo, x, y, loader.dataset.class_names)
        path = path.with_suffix(".jpg")
        _save(picture, path)
        drawn.append(path)
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        thumbnails.append(picture)
    if thumbnails:
        _save(_sheet(thumbnails), output / SHEET)
    return drawn


def _picture(photo, x, y, class_names):
    """Returns a picture of the one photo in a batch, with its objects and a title."""
    from keras_fpn.visualize import draw_detections, draw_keypoints, draw_masks

    height, width = (int(side) for side in x["image_sizes"][0])
    pixels = np.rint(x["images"][0, :height, :width]).astype(np.uint8)
    rows = y["labels"][0] >= 0
    labels = y["labels"][0][rows]
    picture = Image.fromarray(pixels)
    if "masks" in y:
        picture = draw_masks(picture, y["masks"][0][rows, :height, :width], labels)
    if "keypoints" in y:
        picture = draw_keypoints(picture, y["keypoints"][0][rows], labels)
    crowds = int(y["is_crowd"][0].sum())
    padded_height, padded_width = x["images"].shape[1:3]
    title = (
        f"{photo.path.name}: {photo.width}x{photo.height}, seen as {width}x{height} in "
        f"{padded_width}x{padded_height}; objects: {len(labels) - crowds}"
    )
    title += f", crowd regions: {crowds}" if crowds else ""
    boxes = y["boxes"][0][rows]
    return draw_detections(picture, boxes, labels, None, class_names, title)


def _sheet(pictures):
    """Returns pictures side by side, in rows, each in a square of its own."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    step = _THUMBNAIL + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), "white")
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        left = column * step + _GAP + (_THUMBNAIL - picture.width) // 2
        top = row * step + _GAP + (_THUMBNAIL - picture.height) // 2
        sheet.paste(picture, (left, top))
    return sheet


def _save(picture, path):
    with replacing(path) as partial, open(partial, "wb") as file:
        picture.save(file, **_JPEG)
