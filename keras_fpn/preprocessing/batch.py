"""Combines photos of any size into one batch of inputs."""

import dataclasses
import math

import numpy as np

from keras_fpn.preprocessing.resize import check_sizes
from keras_fpn.preprocessing.resize_rules import RESIZE_RULES


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How a detector needs its photos: size, padding and normalization of pixels.

    Args:
        min_size: int, shorter side of the resized photo, pixels; see `resized_size`.
        max_size: int, limit for its longer side, pixels.
        size_divisor: int, pixels; padded sides are multiples of it.
        mean: 3 floats, subtracted by the model from R, G, B in 0..1; None for those
            that its backbone expects.
        std: 3 floats, by which the model then divides R, G, B; None as for mean.
        resize_rule: str, how photos are resized: "torchvision", bilinearly to sizes
            rounded down; or "detectron2", with antialiasing, in whole gray levels, to
            rounded sizes. None for that of the weights, or torchvision's without any.

    Raises:
        ValueError: a size is not a positive int, mean or std are not 3 numbers, or
            there is no such rule.
    """

    min_size: int = 800
    max_size: int = 1333
    size_divisor: int = 32
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    resize_rule: str | None = None

    def __post_init__(self):
        check_sizes(
            min_size=self.min_size,
            max_size=self.max_size,
            size_divisor=self.size_divisor,
        )
        if self.resize_rule not in (None, *RESIZE_RULES):
            raise ValueError(
                f"resize_rule must be one of {sorted(RESIZE_RULES)}; received "
                f"resize_rule={self.resize_rule!r}."
            )
        for name in ("mean", "std"):
            if getattr(self, name) is None:
                continue
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != 3 or (name == "std" and min(values) <= 0):
                raise ValueError(
                    f"{name} must be 3 numbers, for R, G, B in 0..1, and std above 0; "
                    f"received {name}={values}."
                )
            object.__setattr__(self, name, values)

    def to_config(self) -> dict:
        """Returns a dict that JSON can hold; `from_config` is its inverse."""
        config = dataclasses.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in config.items()
        }

    @classmethod
    def from_config(cls, config: dict):
        """Returns the Preprocessing that `to_config` described."""
        return cls(**config)

    def completed(self, mean, std, resize_rule: str | None = None):
        """Returns a Preprocessing with these values, unless it has its own.

        Args:
            mean, std: 3 floats each, which the backbone expects.
            resize_rule: str, which the weights expect; or None.
        """
        return dataclasses.replace(
            self,
            mean=mean if self.mean is None else self.mean,
            std=std if self.std is None else self.std,
            resize_rule=self.resize_rule or resize_rule,
        )

    @property
    def rule(self) -> str:
        """The name of the rule by which photos are resized."""
        return self.resize_rule or "torchvision"

    def resized_size(
        self, size, min_size: int | None = None, max_size: int | None = None
    ) -> tuple[int, int]:
        """Returns the height and width, int pixels, that a photo is resized to.

        Args:
            size: height and width of the photo, int pixels, at least 1.
            min_size, max_size: int; None for those of this object.

        Raises:
            ValueError: a side would be 0 pixels long.
        """
        min_size = self.min_size if min_size is None else min_size
        max_size = self.max_size if max_size is None else max_size
        return RESIZE_RULES[self.rule].size(size, min_size, max_size)

    def resize(self, image, size):
        """Returns an image resized, float32 (height, width, 3), 0..255.

        Args:
            image: uint8 or float (H, W, 3), 0..255.
            size: height and width to resize to, int pixels.
        """
        return RESIZE_RULES[self.rule].resize(image, size)

    def prepare(
        self, photos, min_size: int | None = None, max_size: int | None = None
    ) -> tuple[dict, list]:
        """Resizes photos and combines them into one batch.

        All photos of a batch are padded to the largest height and width: the smaller
        ones get more zeros at the right and bottom than they would alone.

        Args:
            photos: list of uint8 (H, W, 3) of any sizes; see `read_photo`.
            min_size, max_size: int, for this batch only; None for those of this object.

        Returns:
            inputs: dict of "images", float32 (B, H, W, 3), 0..255, RGB, 0 in the
                padding, H and W multiples of size_divisor; "image_sizes", float32
                (B, 2), height and width without the padding.
            sizes: list of B (height, width), ints, the same sizes.

        Raises:
            ValueError: no photos, or one too oblong to resize.
        """
        if len(photos) == 0:
            raise ValueError(
                "A batch must have at least one photo; received photos=[]."
            )
        sizes = [self.resized_size(p.shape[:2], min_size, max_size) for p in photos]
        height, width = (self._padded(max(sides)) for sides in zip(*sizes, strict=True))
        images = np.zeros((len(photos), height, width, 3), np.float32)
        for image, photo, size in zip(images, photos, sizes, strict=True):
            image[: size[0], : size[1]] = self.resize(photo, size)
        image_sizes = np.asarray(sizes, np.float32)
        return {"images": images, "image_sizes": image_sizes}, sizes

    def _padded(self, side):
        return math.ceil(side / self.size_divisor) * self.size_divisor
