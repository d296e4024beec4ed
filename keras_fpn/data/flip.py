"""Mirrors samples left to right."""

import dataclasses

import numpy as np

from keras_fpn.data.limits import check_share
from keras_fpn.data.masks import flip_masks
from keras_fpn.data.sample import boxes_of


@dataclasses.dataclass(frozen=True)
class RandomFlip:
    """Flips a sample left to right, or leaves it unchanged.

    Args:
        probability: float, 0..1, of flipping.
        flip_pairs: pairs of ints, keypoints to exchange, such as left and right eye;
            `dataset.flip_pairs`.

    Call arguments:
        sample: dict; see keras_fpn.data.sample.
        generator: numpy.random.Generator; see `random_generator`.

    Returns:
        dict, the sample.

    Raises:
        ValueError: probability is outside 0..1; flip_pairs name keypoints that the
            sample does not have.
    """

    probability: float = 0.5
    flip_pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        check_share(probability=self.probability)
        pairs = tuple((int(first), int(second)) for first, second in self.flip_pairs)
        object.__setattr__(self, "flip_pairs", pairs)

    def __call__(self, sample, generator):
        if generator.random() >= self.probability:
            return sample
        return flip_sample(sample, self.flip_pairs)


def flip_sample(sample, flip_pairs=()):
    """Returns the sample flipped left to right; see `RandomFlip`."""
    height, width = sample["image"].shape[:2]
    # Indexing flat rows is three times as fast as copying a reversed view.
    backwards = np.arange(width - 1, -1, -1)
    places = (backwards[:, None] * 3 + np.arange(3)).ravel()
    rows = np.ascontiguousarray(sample["image"]).reshape(height, width * 3)
    image = rows.take(places, axis=1, mode="clip").reshape(height, width, 3)
    flipped = {**sample, "image": image}
    for name in boxes_of(sample):
        x1, y1, x2, y2 = sample[name].T
        flipped[name] = np.stack([width - x2, y1, width - x1, y2], axis=1)
    if "masks" in sample:
        flipped["masks"] = flip_masks(sample["masks"])
    if "semantic_map" in sample:
        flipped["semantic_map"] = sample["semantic_map"][:, ::-1]
    if "keypoints" in sample:
        flipped["keypoints"] = _flip_keypoints(sample["keypoints"], width, flip_pairs)
    return flipped


def _flip_keypoints(keypoints, width, flip_pairs):
    """Returns float32 (G, J, 3); unannotated keypoints stay 0, 0, 0."""
    if len(keypoints) == 0:
        return keypoints
    joints = keypoints.shape[1]
    order = np.arange(joints)
    for first, second in flip_pairs:
        if not (0 <= first < joints and 0 <= second < joints):
            raise ValueError(
                f"flip_pairs must name keypoints of the sample, 0..{joints - 1}; "
                f"received the pair {first, second}."
            )
        order[[first, second]] = second, first
    flipped = keypoints[:, order]
    flipped[..., 0] = np.where(flipped[..., 2] > 0, width - flipped[..., 0], 0)
    return flipped
