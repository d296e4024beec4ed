"""Changes the scale of samples: multi-scale resizing and large-scale jitter."""

import dataclasses
import math

import numpy as np

from keras_fpn.data.limits import checked_range
from keras_fpn.data.pixel_labels import IGNORED
from keras_fpn.data.sample import crop_sample, resize_sample
from keras_fpn.preprocessing import resized_size
from keras_fpn.preprocessing.resize import check_sizes

# Mean of the pixels of ImageNet: models normalize it to 0, like their own padding.
_GRAY = np.array([123.675, 116.28, 103.53], np.float32)


@dataclasses.dataclass(frozen=True)
class MultiScale:
    """Resizes a sample so that its shorter side is one of several lengths.

    The size is that of `resized_size`; each length is equally likely.

    Args:
        min_sizes: ints, targets for the shorter side, pixels.
        max_size: int, limit for the longer side, pixels.

    Call arguments:
        sample: dict; see keras_fpn.data.sample.
        generator: numpy.random.Generator; see `random_generator`.

    Returns:
        dict, the sample; its image is float32, 0..255.

    Raises:
        ValueError: there are no min_sizes, or a size is not a positive integer;
            or the image is so oblong that a side would become 0.
    """

    min_sizes: tuple[int, ...] = (640, 672, 704, 736, 768, 800)
    max_size: int = 1333

    def __post_init__(self):
        if not isinstance(self.min_sizes, (tuple, list)) or len(self.min_sizes) == 0:
            raise ValueError(
                "min_sizes must be a tuple of lengths, at least one; received "
                f"min_sizes={self.min_sizes!r}."
            )
        object.__setattr__(self, "min_sizes", tuple(self.min_sizes))
        for min_size in self.min_sizes:
            check_sizes(min_sizes=min_size)
        check_sizes(max_size=self.max_size)

    def __call__(self, sample, generator):
        min_size = self.min_sizes[generator.integers(len(self.min_sizes))]
        size = resized_size(sample["image"].shape[:2], min_size, self.max_size)
        return resize_sample(sample, size)


@dataclasses.dataclass(frozen=True)
class LargeScaleJitter:
    """Resizes a sample at random, then crops or pads it to a square.

    The image is resized so that its longer side is size times a factor between low and
    high. A side longer than size is cropped at a random position; a shorter one is
    padded at the right or bottom with gray, which models normalize to 0, and whose
    semantic labels are ignored.

    Source: Ghiasi et al. 2021 (arXiv:2012.07177), Sec. 3. Deviation: the image is
    cropped, at whole pixels, before it is resized, which is faster and moves the crop
    by less than a pixel of the photo.

    Args:
        size: int, side of the square, pixels.
        low, high: float, limits of the factor, above 0; every factor is equally likely.

    Call arguments:
        sample: dict; see keras_fpn.data.sample.
        generator: numpy.random.Generator; see `random_generator`.

    Returns:
        dict, the sample; its image is float32 (size, size, 3), 0..255. Objects of which
        nothing is left are dropped, as in `crop_sample`.

    Raises:
        ValueError: size is not a positive integer, or not 0 < low <= high.
    """

    size: int = 1024
    low: float = 0.1
    high: float = 2.0

    def __post_init__(self):
        check_sizes(size=self.size)
        checked_range("low, high", (self.low, self.high), 1e-6, math.inf)

    def __call__(self, sample, generator):
        factor = generator.uniform(self.low, self.high)
        # Where to crop, sampled even if nothing is cropped.
        shares = generator.random(2)
        sides = np.array(sample["image"].shape[:2])
        scale = factor * self.size / sides.max()
        kept = np.minimum(sides, math.ceil(self.size / scale))
        y1, x1 = np.floor(shares * (sides - kept + 1)).astype(int)
        sample = crop_sample(sample, (x1, y1, x1 + kept[1], y1 + kept[0]))
        resized = np.maximum(np.floor(kept * scale), 1).astype(int)
        sample = resize_sample(sample, tuple(resized.tolist()))
        height, width = np.minimum(resized, self.size)
        return _pad_to(crop_sample(sample, (0, 0, width, height)), self.size)


def _pad_to(sample, size):
    """Returns the sample padded with gray at the right and bottom to a square."""
    height, width = sample["image"].shape[:2]
    image = np.empty((size, size, 3), np.float32)
    image[:height, :width] = sample["image"]
    image[:height, width:] = _GRAY
    image[height:] = _GRAY
    padded = {**sample, "image": image}
    if "masks" in sample:
        masks = np.zeros((len(sample["masks"]), size, size), bool)
        masks[:, :height, :width] = sample["masks"]
        padded["masks"] = masks
    if "semantic_map" in sample:
        labels = np.full((size, size), IGNORED, np.uint8)
        labels[:height, :width] = sample["semantic_map"]
        padded["semantic_map"] = labels
    return padded
