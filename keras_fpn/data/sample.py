"""One photo with its objects as a dict of arrays, and functions that transform it.

A sample has, for G objects:

    image: uint8 or float32 (H, W, 3), RGB, 0..255
    boxes: float32 (G, 4), xyxy, continuous pixels of the image
    labels: int32 (G,), 0-based
    is_crowd: bool (G,)
    image_id: int
    photo_size: (height, width) of the photo as read
    masks: bool (G, H, W), if requested
    semantic_map: uint8 (H, W), if requested; see keras_fpn.data.pixel_labels
    keypoints: float32 (G, J, 3), x, y, visibility, if the data set has them; x and y
        are 0 where the visibility is 0
    proposals: float32 (R, 4), xyxy, of objects that may be there, if the photo has any

No function modifies its arguments; results may share memory with them.
"""

import numpy as np

from keras_fpn.data.dataset import Photo
from keras_fpn.data.masks import mask_extents, resize_map, resize_masks, segment_mask
from keras_fpn.preprocessing import read_photo, resize, scaled_boxes
from keras_fpn.preprocessing.resize import check_sizes

_PER_OBJECT = ("boxes", "labels", "is_crowd", "masks", "keypoints")
_OF_BOXES = ("boxes", "proposals")


def load_sample(photo: Photo, masks: bool = False, semantic: bool = False) -> dict:
    """Reads a photo from its file.

    Args:
        photo: keras_fpn.data.Photo.
        masks: bool, whether to draw the objects' segments. An object without any gets
            an empty mask.
        semantic: bool, whether to read the semantic map.

    Returns:
        dict, a sample; see the module. Its image is uint8.

    Raises:
        ValueError: the file cannot be read or does not have the annotated size; or
            masks are requested and the objects have no segments; or the semantic map is
            requested and the photo has no pixel labels, or they do not fit it.
    """
    image, objects = read_photo(photo.path), photo.objects
    size = image.shape[:2]
    if size != (photo.height, photo.width):
        raise ValueError(
            "A photo must have the height and width that its objects are annotated "
            f"in, {photo.height, photo.width}; received {photo.path}, which has "
            f"{size}. Annotate the upright photo, or correct its size."
        )
    sample = {
        "image": image,
        "boxes": objects.boxes.copy(),
        "labels": objects.labels.copy(),
        "is_crowd": objects.is_crowd.copy(),
        "image_id": int(photo.image_id),
        "photo_size": size,
    }
    if masks:
        sample["masks"] = _masks(photo, size)
    if semantic:
        sample["semantic_map"] = _semantic_map(photo, size)
    if objects.keypoints is not None:
        points = objects.keypoints
        sample["keypoints"] = np.where(points[..., 2:] > 0, points, np.float32(0))
    if photo.proposals is not None:
        sample["proposals"] = photo.proposals.copy()
    return sample


def boxes_of(sample):
    """Returns the names of the arrays of boxes in a sample, list of str."""
    return [name for name in _OF_BOXES if name in sample]


def resize_sample(sample, size, resize=resize):
    """Resizes a sample: the image as the detector does, its objects accordingly.

    Args:
        sample: dict; see the module.
        size: height and width to resize to, int pixels; see `resized_size`.
        resize: function (image, size) -> image, such as `Preprocessing.resize`.

    Returns:
        dict, the sample; its image is float32, 0..255.

    Raises:
        ValueError: size is not two positive integers.
    """
    height, width = size
    check_sizes(height=height, width=width)
    old_height, old_width = sample["image"].shape[:2]
    scale = np.array([width / old_width, height / old_height])
    resized = {**sample, "image": resize(sample["image"], size)}
    for name in boxes_of(sample):
        resized[name] = scaled_boxes(sample[name], (old_height, old_width), size)
    if "masks" in sample:
        resized["masks"] = resize_masks(sample["masks"], size)
    if "semantic_map" in sample:
        resized["semantic_map"] = resize_map(sample["semantic_map"], size)
    if "keypoints" in sample:
        points = sample["keypoints"] * np.append(scale, 1)
        resized["keypoints"] = points.astype(np.float32)
    return resized


def crop_sample(sample, window, keep=None):
    """Crops a sample to a window.

    Boxes are clipped to the window. A cut object is dropped if nothing is left of its
    box, or of its mask if it has one; with a mask, the box is narrowed to the rest of
    the mask. Keypoints outside become not annotated: 0, 0, 0. Proposals are clipped to
    the window, too, and dropped if nothing is left of them.

    Args:
        sample: dict; see the module.
        window: 4 ints, xyxy, pixels, inside the image and at least one pixel large.
        keep: bool (G,), False for objects to drop in any case; None for no object.

    Returns:
        dict, the sample, its image as large as the window.

    Raises:
        ValueError: the window has no pixels or leaves the image.
    """
    x1, y1, x2, y2 = (int(edge) for edge in window)
    height, width = sample["image"].shape[:2]
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise ValueError(
            f"A window must contain pixels and be inside the image, {width} wide and "
            f"{height} high; received window={x1, y1, x2, y2}."
        )
    corner = np.array([x1, y1], np.float32)
    clipped = clip_boxes(sample["boxes"], window)
    cut = (clipped != sample["boxes"]).any(axis=1)
    cropped = {
        **sample,
        "image": sample["image"][y1:y2, x1:x2],
        "boxes": clipped - np.tile(corner, 2),
    }
    if "proposals" in sample:
        proposals = clip_boxes(sample["proposals"], window) - np.tile(corner, 2)
        cropped["proposals"] = proposals[has_area(proposals)]
    # An uncut object that had no area before is kept as it is.
    left = ~cut | has_area(clipped)
    if keep is not None:
        left &= keep
    if "semantic_map" in sample:
        cropped["semantic_map"] = sample["semantic_map"][y1:y2, x1:x2]
    if "masks" in sample:
        cropped["masks"] = sample["masks"][:, y1:y2, x1:x2]
        for row in np.flatnonzero(cut & left):
            if sample["masks"][row].any():
                left[row] = narrow_box(cropped["boxes"][row], cropped["masks"][row])
    if "keypoints" in sample:
        points = sample["keypoints"]
        place = points[..., :2]
        outside = ((place < corner) | (place > (x2, y2))).any(axis=-1)
        hidden = outside | (points[..., 2] == 0)
        moved = points - np.append(corner, np.float32(0))
        cropped["keypoints"] = np.where(hidden[..., None], np.float32(0), moved)
    return select_objects(cropped, left)


def select_objects(sample, rows):
    """Returns the sample with some of its objects.

    Args:
        sample: dict; see the module.
        rows: bool (G,), True for objects to keep.
    """
    if np.all(rows):
        return sample
    return {
        name: value[rows] if name in _PER_OBJECT else value
        for name, value in sample.items()
    }


def clip_boxes(boxes, window):
    """Returns boxes, float32 (G, 4), xyxy, clipped to a window."""
    x1, y1, x2, y2 = window
    low, high = np.array([[x1, y1] * 2, [x2, y2] * 2], np.float32)
    return np.clip(boxes, low, high)


def has_area(boxes):
    """Returns bool (G,), whether boxes, float (G, 4), xyxy, have an area."""
    return (boxes[:, 2:] > boxes[:, :2]).all(axis=1)


def narrow_box(box, mask):
    """Narrows a box, float32 (4,), in place to the pixels of a mask, bool (H, W).

    It stays unchanged if the two do not overlap.

    Returns:
        bool, whether the mask has pixels.
    """
    extent = mask_extents(mask[None])[0]
    narrowed = np.append(
        np.maximum(box[:2], extent[:2]), np.minimum(box[2:], extent[2:])
    )
    if has_area(narrowed[None])[0]:
        box[:] = narrowed
    return bool(extent[2])


def _masks(photo, size):
    """Returns bool (G, H, W), the segments of a photo as masks."""
    segments = photo.objects.segments
    if segments is None:
        if len(photo.objects):
            raise ValueError(
                "Photos must have segments if masks are requested; received "
                f"{photo.path}, whose {len(photo.objects)} objects have none. Load it "
                "with masks=False."
            )
        segments = ()
    drawn = np.zeros((len(segments), *size), bool)
    for mask, segment in zip(drawn, segments, strict=True):
        mask[:] = segment_mask(segment, size)
    return drawn


def _semantic_map(photo, size):
    """Returns uint8 (H, W), the semantic map of a photo."""
    if photo.pixel_labels is None:
        raise ValueError(
            "Photos must have pixel labels if semantic maps are requested; received "
            f"{photo.path}, which has none. Load it with semantic=False."
        )
    return photo.pixel_labels.semantic_map(size)
