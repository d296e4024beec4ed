"""Recorded masks, and how masks are compared with them."""

import numpy as np

CASCADE = (
    "cascade_mask_rcnn_resnet50_fpn_detectron2_3x",
    "cascade_mask_rcnn_R_50_FPN",
)
RECORDED = 20  # of each photo
MATCHED = 0.9  # of these; boxes near a tie of suppression have other masks or none
SLOTS = 32  # for positives, of which the recordings of trainings have at most 21


def recorded_masks(golden, image, size):
    """Returns the first masks of a photo, bool (20, H, W).

    Args:
        golden: `Golden`.
        image: str, such as "image0".
        size: (H, W) of the photo.
    """
    packed = golden[f"{image}/detections/masks_packed_first20"]
    return unpacked(packed, (RECORDED, *size))


def unpacked(bits, shape):
    """Returns bool arrays that were stored as bits, in one piece."""
    return np.unpackbits(bits, count=np.prod(shape)).reshape(shape).astype(bool)


def same_masks(found, wanted, pixels):
    """Returns which recorded masks are found, bool (20,).

    A mask is found if a detection with the same label, and a box within some pixels,
    has a mask of which at most 2 pixels differ, or 2 % of the recorded one.

    Args:
        found, wanted: dicts of "boxes" (n, 4), "labels" (n,) and "masks" (n, H, W), of
            which `wanted` may have fewer masks.
        pixels: float, how far a partner's sides may be.
    """
    same = []
    for row, mask in enumerate(wanted["masks"]):
        close = np.abs(found["boxes"] - wanted["boxes"][row]).max(axis=1) <= pixels
        close &= found["labels"] == wanted["labels"][row]
        differing = (found["masks"][close] ^ mask).sum(axis=(1, 2))
        same.append((differing <= max(2, 0.02 * mask.sum())).any())
    return np.array(same)


def assert_same_masks(found, wanted, pixels):
    """Asserts that most recorded masks are found; arguments as of `same_masks`."""
    assert same_masks(found, wanted, pixels).mean() >= MATCHED


def assert_others_are_told_apart(wanted, pixels):
    """Asserts that empty masks, and masks two pixels aside, are not the recorded ones.

    Args:
        wanted, pixels: as of `same_masks`.
    """
    assert_same_masks(wanted, wanted, pixels)
    masks = wanted["masks"]
    for wrong in (np.zeros_like(masks), np.roll(masks, 2, axis=2)):
        other = {**wanted, "masks": wrong}
        assert same_masks(other, wanted, pixels).mean() < MATCHED


def mask_targets(masks, boxes):
    """Returns targets of masks (B, G, ...) whose cells are whole pixels, as a dict.

    Args:
        masks: list of bool (n, H, W), for each image.
        boxes: float32 (B, G, 4), xyxy, pixels.
    """
    from keras_fpn.data.mask_crops import mask_crops

    crops = [mask_crops(*each, side=None) for each in zip(masks, boxes, strict=False)]
    height, width = np.max([each.shape[1:] for each, _ in crops], axis=0)
    targets = np.zeros((*boxes.shape[:2], height, width), "uint8")
    windows = np.zeros(boxes.shape, "float32")
    for row, (each, around) in enumerate(crops):
        count, down, across = each.shape
        targets[row, :count, :down, :across] = each
        # The window grows with the crop, so that cells stay whole pixels.
        windows[row, :count] = around[:count]
        windows[row, :count, 2:] += [width - across, height - down]
    return {"masks": targets, "mask_windows": windows}
