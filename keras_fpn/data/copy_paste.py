"""Pastes objects of one sample into another."""

import dataclasses

import numpy as np

from keras_fpn.data.limits import check_share
from keras_fpn.data.sample import (
    boxes_of,
    clip_boxes,
    crop_sample,
    has_area,
    narrow_box,
    select_objects,
)

_LEAST_IOU = 0.5  # of a proposal and its object, as for positives in training


@dataclasses.dataclass(frozen=True)
class CopyPaste:
    """Pastes some of another sample's objects, cut out along their masks.

    What they cover is removed from the masks beneath, whose boxes are narrowed to what
    is left; fully covered objects are dropped, and covered visible keypoints become
    hidden ones. Crowd regions and objects without a mask are not pasted. Proposals that
    overlap a pasted object by an IoU of 0.5 or more are pasted with it, and come first.
    Semantic maps take the labels of the pasted pixels.

    Objects keep their position if both images have the same size. Otherwise the other
    image is placed at random so that, along each axis, one of the two contains the
    other.

    Source: Ghiasi et al. 2021 (arXiv:2012.07177), Sec. 3: apply
    `LargeScaleJitter` and `RandomFlip` to both samples before. No deviation: the
    authors found that blending the borders gains little.

    Args:
        probability: float, 0..1, that anything is pasted.
        share: float, 0..1, probability of each object to be pasted.

    Call arguments:
        sample: dict with masks; see keras_fpn.data.sample.
        other: dict with masks, the sample whose objects are pasted.
        generator: numpy.random.Generator; see `random_generator`.

    Returns:
        dict, the sample, pasted objects last.

    Raises:
        ValueError: an argument is outside 0..1; a sample has no masks; the two have
            images of different dtypes, or different keypoints, or only one has
            proposals or a semantic map.
    """

    probability: float = 1.0
    share: float = 0.5

    def __post_init__(self):
        check_share(probability=self.probability, share=self.share)

    def __call__(self, sample, other, generator):
        _check_pair(sample, other)
        randoms = generator.random(3)
        chosen = generator.random(len(other["boxes"])) < self.share
        chosen &= ~other["is_crowd"]
        for row in np.flatnonzero(chosen):
            chosen[row] = other["masks"][row].any()
        if randoms[0] >= self.probability or not chosen.any():
            return sample
        room = np.subtract(sample["image"].shape[:2], other["image"].shape[:2])
        steps = np.floor(randoms[1:] * (abs(room) + 1)).astype(int)
        pasted, corner = _placed(
            select_objects(other, chosen),
            np.minimum(room, 0) + steps,
            sample["image"].shape[:2],
        )
        return _pasted(sample, pasted, corner)


def _check_pair(sample, other):
    """Raises if two samples cannot be combined."""
    for name, each in (("sample", sample), ("other", other)):
        if "masks" not in each:
            raise ValueError(
                f"Both samples must have masks, along which objects are cut out; "
                f"received {name} of image_id={each['image_id']} without. Load it with "
                "masks=True."
            )
    if ("proposals" in sample) != ("proposals" in other):
        raise ValueError(
            "Both samples must have proposals, or neither; received them for one of "
            f"image_id={sample['image_id']} and {other['image_id']}. Give them to all "
            "photos with keras_fpn.data.with_proposals."
        )
    if ("semantic_map" in sample) != ("semantic_map" in other):
        raise ValueError(
            "Both samples must have semantic maps, or neither; received one for one of "
            f"image_id={sample['image_id']} and {other['image_id']}. Load both with "
            "semantic=True."
        )
    dtypes = [each["image"].dtype for each in (sample, other)]
    if dtypes[0] != dtypes[1]:
        raise ValueError(
            "Both samples must have images of one dtype; received "
            f"{dtypes[0]} and {dtypes[1]}. Resize both, or neither."
        )
    joints = [
        each.get("keypoints", np.zeros((0, 0))).shape[1] for each in (sample, other)
    ]
    if joints[0] != joints[1]:
        raise ValueError(
            "Both samples must have the same keypoints; received "
            f"{joints[0]} and {joints[1]} of them. Take both from one data set."
        )


def _placed(other, offset, size):
    """Crops the other sample to what overlaps an image; boxes in pixels of the image.

    Args:
        other: dict, a sample.
        offset: int (2,), y and x of its upper left corner in the image.
        size: height and width of the image.

    Returns:
        The sample, its image and masks as large as the overlap; and y and x, ints, of
        the upper left corner of the overlap.
    """
    corner = np.maximum(offset, 0)
    end = np.minimum(offset + other["image"].shape[:2], size)
    (y1, x1), (y2, x2) = corner - offset, end - offset
    other = crop_sample(other, (x1, y1, x2, y2))
    shift = corner[::-1].astype(np.float32)
    placed = {
        **other,
        **{name: other[name] + np.tile(shift, 2) for name in boxes_of(other)},
    }
    if "keypoints" in other:
        points = other["keypoints"] + np.append(shift, np.float32(0))
        annotated = other["keypoints"][..., 2:] > 0
        placed["keypoints"] = np.where(annotated, points, np.float32(0))
    return placed, corner


def _pasted(sample, pasted, corner):
    """Returns the sample with placed objects on top; see `_placed`."""
    height, width = pasted["image"].shape[:2]
    y, x = corner
    place = np.s_[y : y + height, x : x + width]
    cover = np.zeros(sample["image"].shape[:2], bool)
    cover[place] = pasted["masks"].any(axis=0)
    image = sample["image"].copy()
    image[cover] = pasted["image"][cover[place]]
    if "semantic_map" in sample:
        labels = sample["semantic_map"].copy()
        labels[cover] = pasted["semantic_map"][cover[place]]
        sample = {**sample, "semantic_map": labels}
    masks = np.zeros((len(pasted["masks"]), *cover.shape), bool)
    masks[:, *place] = pasted["masks"]
    pasted = {**pasted, "masks": masks}
    beneath = _covered({**sample, "image": image}, cover)
    names = ["boxes", "labels", "is_crowd", "masks"]
    names += ["keypoints"] if "keypoints" in sample else []
    joined = {name: np.concatenate([beneath[name], pasted[name]]) for name in names}
    if "proposals" in sample:
        near = _near(pasted["proposals"], pasted["boxes"])
        joined["proposals"] = np.concatenate([near, sample["proposals"]])
    return {**beneath, **joined}


def _near(proposals, boxes):
    """Returns the proposals that overlap a box enough, float32 (n, 4)."""
    corners = np.maximum(proposals[:, None, :2], boxes[:, :2])
    ends = np.minimum(proposals[:, None, 2:], boxes[:, 2:])
    shared = (ends - corners).clip(0).prod(axis=2)
    united = _areas(proposals)[:, None] + _areas(boxes) - shared
    return proposals[(shared >= _LEAST_IOU * united).any(axis=1)]


def _areas(boxes):
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def _covered(sample, cover):
    """Returns the sample with objects hidden by a cover, bool (H, W)."""
    boxes, masks = sample["boxes"].copy(), sample["masks"] & ~cover
    left = np.ones(len(boxes), bool)
    for row, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
        before = sample["masks"][row]
        if (before & cover).any():
            left[row] = narrow_box(box, mask)
        elif not before.any():
            left[row] = not _hides(cover, box)
    hidden = {**sample, "boxes": boxes, "masks": masks}
    if "keypoints" in sample:
        points = sample["keypoints"].copy()
        last = np.array(cover.shape[::-1]) - 1
        pixels = np.clip(np.floor(points[..., :2]).astype(int), 0, last)
        beneath = cover[pixels[..., 1], pixels[..., 0]] & (points[..., 2] == 2)
        points[..., 2] = np.where(beneath, 1, points[..., 2])
        hidden["keypoints"] = points
    return select_objects(hidden, left)


def _hides(cover, box):
    """Returns whether every pixel of a box, float (4,), xyxy, is covered."""
    inside = clip_boxes(box[None], (0, 0, cover.shape[1], cover.shape[0]))
    if not has_area(inside)[0]:
        return False
    x1, y1 = np.floor(inside[0, :2]).astype(int)
    x2, y2 = np.ceil(inside[0, 2:]).astype(int)
    return bool(cover[y1:y2, x1:x2].all())
