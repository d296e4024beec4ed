"""Checks what a reader found in the files, and makes a Dataset of the valid part."""

import collections
import os
import pathlib
from collections.abc import Callable

import numpy as np

from keras_fpn.data.box_order import ORDERS, check_order
from keras_fpn.data.dataset import Dataset, Objects, Photo
from keras_fpn.data.image_files import read_headers
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.segments import FARTHEST, check_segment
from keras_fpn.data.statistics import statistics
from keras_fpn.run_lengths import numbers

# Pixels: rounded fractions and floats miss the edge of a photo by less than that.
_CLIP_TOLERANCE = 0.1


def check_dataset(
    dataset: Dataset, strict: bool = False, report: Callable | None = warn_of_defects
) -> Dataset:
    """Checks a Dataset made in code as readers check what they read.

    Args:
        dataset: Dataset.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset of what is valid.

    Raises:
        ValueError: nothing is left, or strict is set and there is a defect.
    """
    found = Report(dataset.name, f"{len(dataset)} photos made in code")
    photos = []
    for photo in dataset.photos:
        size = photo.height, photo.width
        path, pixel_labels = pathlib.Path(photo.path), photo.pixel_labels
        listed = ListedPhoto(path, size, photo.image_id, pixel_labels=pixel_labels)
        objects = photo.objects
        for i in range(len(objects)):
            points = None if objects.keypoints is None else objects.keypoints[i].ravel()
            where = f"object {i + 1} of {photo.path}"
            if not 0 <= objects.labels[i] < len(dataset.class_names):
                found.add("unknown_category", f"{where}: label {objects.labels[i]}")
                continue
            listed.objects.append(
                ListedObject(
                    box=tuple(objects.boxes[i]),
                    label=int(objects.labels[i]),
                    where=where,
                    is_crowd=bool(objects.is_crowd[i]),
                    segment=objects.segments and objects.segments[i],
                    keypoints=points,
                )
            )
        photos.append(listed)
    listing = Listing(
        found=found,
        class_names=dataset.class_names,
        category_ids=dataset.category_ids,
        photos=photos,
        keypoint_names=dataset.keypoint_names,
        flip_pairs=dataset.flip_pairs,
        skeleton=dataset.skeleton,
        stuff_names=dataset.stuff_names,
        stuff_ids=dataset.stuff_ids,
    )
    return checked(listing, strict, report)


def checked(
    listing: Listing, strict: bool = False, report: Callable | None = warn_of_defects
) -> Dataset:
    """Makes a Dataset of what a reader found, and reports what is wrong with it.

    Args:
        listing: Listing.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset.

    Raises:
        ValueError: there is no photo, or no valid one; objects are listed, but none is
            valid; the numbers of the boxes are in another order; or strict is set and
            there is a defect.
    """
    found = listing.found
    if not listing.photos and not found.counts:
        raise ValueError(
            f"A data set must list at least one photo; received {found.source}, "
            "which lists none."
        )
    headers = read_headers([photo.path for photo in listing.photos])
    sound = [
        (photo, header.size)
        for photo, header in zip(listing.photos, headers, strict=True)
        if _is_usable(photo, header, found)
    ]
    sound = _with_fitting_labels(sound, found)
    _note_repeated_files([photo for photo, _ in sound], found)
    check_order(
        [(photo.path, size, _boxes(photo)) for photo, size in sound],
        listing.order,
        listing.fractions,
        found.source,
    )
    dataset = Dataset(
        photos=tuple(_checked_photo(photo, size, listing) for photo, size in sound),
        class_names=listing.class_names,
        category_ids=listing.category_ids,
        keypoint_names=listing.keypoint_names,
        flip_pairs=listing.flip_pairs,
        skeleton=listing.skeleton,
        stuff_names=listing.stuff_names,
        stuff_ids=listing.stuff_ids,
        name=found.name,
    )
    found.statistics = statistics(dataset)
    if report is not None:
        report(found)
    _check_not_empty(dataset, listing)
    if strict and found.defects:
        raise ValueError(
            "A data set must have no defects where strict=True; received "
            f"{found.source}, with {found.summary()}."
        )
    return dataset


def _check_not_empty(dataset, listing):
    """Raises if the check left no photo, or no object."""
    found = listing.found
    if len(dataset) == 0:
        raise ValueError(
            "A data set must have at least one valid photo; received "
            f"{found.source}, with {found.summary()}."
        )
    listed = any(photo.objects for photo in listing.photos) or any(
        kind in found.counts
        for kind in ("unknown_category", "unreadable_object", "unreadable_row")
    )
    if listed and not any(len(photo.objects) for photo in dataset.photos):
        raise ValueError(
            "A data set that lists objects must have a valid one; received "
            f"{found.source}, with {found.summary() or 'no class that was asked for'}."
        )


def _is_usable(photo, header, found):
    """Returns whether a photo exists, is readable and has the stated size."""
    if header is None:
        found.add("missing_file", str(photo.path))
        return False
    if isinstance(header, str):
        found.add("unreadable_photo", f"{photo.path}: {header}")
        return False
    if header.unsupported is not None:
        found.add("unreadable_photo", header.unsupported)
        return False
    if photo.size is not None and photo.size != header.size:
        unrotated = photo.size == header.stored_size
        found.add(
            "unrotated" if unrotated else "other_size",
            f"{photo.path}: width and height {by(photo.size)} in the annotations, "
            f"{by(header.size)} in the file",
        )
        return False
    if header.orientation != 1:
        found.add("exif_rotation", f"{photo.path}: orientation {header.orientation}")
    return True


def _with_fitting_labels(sound, found):
    """Returns those of (ListedPhoto, size) whose label images fit, if they have any.

    Only their headers are read.
    """
    paths = [photo.pixel_labels and photo.pixel_labels.path for photo, _ in sound]
    headers = dict(zip(paths, [None] * len(paths), strict=True))
    files = [path for path in headers if path is not None]
    headers |= dict(zip(files, read_headers(files), strict=True))
    fitting = []
    for (photo, size), path in zip(sound, paths, strict=True):
        header = headers[path]
        if path is None:
            fitting.append((photo, size))
        elif header is None:
            found.add("missing_labels", str(path))
        elif isinstance(header, str):
            found.add("bad_labels", f"{path}: {header}")
        elif header.stored_size != size:
            found.add(
                "bad_labels",
                f"{path}: {by(header.stored_size)}, its photo {photo.path.name} is "
                f"{by(size)}",
            )
        else:
            fitting.append((photo, size))
    return fitting


def check_pixel_labels(dataset: Dataset, found: Report, progress: Callable = iter):
    """Reads the pixel labels of all photos; adds what is wrong with them to a report.

    Args:
        dataset: Dataset.
        found: Report.
        progress: function that takes the list of photos and yields each of them.
    """
    for photo in progress(dataset.photos):
        if photo.pixel_labels is not None:
            try:
                photo.pixel_labels.semantic_map((photo.height, photo.width))
            except ValueError as error:
                found.add("wrong_pixels", str(error))


def _note_repeated_files(photos, found):
    """Notes files that are listed under several image ids."""
    ids = collections.defaultdict(list)
    for photo in photos:
        ids[os.path.abspath(photo.path)].append(photo.image_id)
    for path, listed in ids.items():
        if len(listed) > 1:
            found.add("repeated_photo", f"{path}: ids {listed[:5]}", len(listed) - 1)


def _boxes(photo):
    """Returns the boxes of a photo as stated, float64 (G, 4)."""
    return np.array([o.box for o in photo.objects], np.float64).reshape(-1, 4)


def _checked_photo(photo, size, listing):
    """Returns the Photo of a ListedPhoto, with those of its objects that are valid."""
    found = listing.found
    height, width = size
    unit = np.array([width, height] if listing.fractions else [1, 1], np.float64)
    stated = _boxes(photo) * np.tile(unit, 2)
    boxes, sound = _valid_boxes(photo, ORDERS[listing.order](stated), size, found)
    objects = [o for o, kept in zip(photo.objects, sound, strict=True) if kept]
    segments = [_valid_segment(o, unit, size, found) for o in objects]
    keypoints = None
    if listing.keypoint_names:
        joints = len(listing.keypoint_names)
        rows = [_valid_keypoints(o, joints, unit, found) for o in objects]
        keypoints = np.array(rows, np.float32).reshape(-1, joints, 3)
    labels = [o.label for o in objects]
    _note_same_boxes(objects, boxes, found)
    return Photo(
        image_id=photo.image_id,
        path=photo.path,
        height=height,
        width=width,
        objects=Objects(
            boxes=boxes,
            labels=np.array(labels, np.int32),
            is_crowd=np.array([o.is_crowd for o in objects], bool),
            segments=None if all(s is None for s in segments) else tuple(segments),
            keypoints=keypoints,
        ),
        pixel_labels=photo.pixel_labels,
    )


def _valid_boxes(photo, boxes, size, found):
    """Clips boxes to their photo and finds the valid ones.

    Returns:
        boxes: float32 (n, 4), xyxy, the valid ones, clipped.
        valid: bool (G,), which they are.
    """
    height, width = size
    finite = np.isfinite(boxes).all(axis=1)
    clipped = np.clip(boxes, 0, [width, height, width, height])
    moved = (np.abs(boxes - clipped) > _CLIP_TOLERANCE).any(axis=1)
    area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    rounded = clipped.astype(np.float32)
    left = (rounded[:, 2:] > rounded[:, :2]).all(axis=1)
    for i in np.flatnonzero(~finite | ~area | ~left | moved):
        kind = "partly_outside" if left[i] else "outside"
        kind = kind if moved[i] else "no_area"
        kind = kind if area[i] else "no_area"
        kind = kind if finite[i] else "not_finite"
        corners = ", ".join(f"{number:g}" for number in boxes[i])
        found.add(kind, f"{photo.objects[i].where}: {corners} in a photo of {by(size)}")
    sound = finite & area & left
    return rounded[sound], sound


def _note_same_boxes(objects, boxes, found):
    """Notes objects with the same box and class as an earlier one."""
    seen = set()
    for one, box in zip(objects, boxes, strict=True):
        key = (one.label, one.is_crowd, box.tobytes())
        if key in seen:
            found.add("same_box", f"{one.where}: {', '.join(f'{x:g}' for x in box)}")
        seen.add(key)


def _valid_segment(one, unit, size, found):
    """Returns the segment of an object in pixels, None if it is missing or broken."""
    segment = one.segment
    if segment is None or (isinstance(segment, list) and not segment):
        return None
    try:
        check_segment(segment, size)
        if not isinstance(segment, (list, tuple)) or (unit == 1).all():
            return segment
        scaled = [(np.reshape(p, (-1, 2)) * unit).ravel().tolist() for p in segment]
        check_segment(scaled, size)
        return scaled
    except ValueError as error:
        found.add("bad_mask", f"{one.where}: {error}")
        return None


def _valid_keypoints(one, joints, unit, found):
    """Returns the keypoints of an object in pixels, float (J, 3); zeros if missing."""
    if one.keypoints is None:
        return np.zeros((joints, 3))
    points = numbers(one.keypoints)
    if points.size != 3 * joints:
        points = np.full(3 * joints, np.nan)
    points = points.reshape(joints, 3)
    near = (np.abs(points) <= FARTHEST).all()  # False for NaN
    if not (near and np.isin(points[:, 2], (0, 1, 2)).all()):
        found.add("bad_keypoints", f"{one.where}: {str(one.keypoints)[:60]}")
        return np.zeros((joints, 3))
    return points * [*unit, 1]


def by(size):
    """Returns (height, width) as it is usually written: 640x480."""
    return f"{size[1]}x{size[0]}"
