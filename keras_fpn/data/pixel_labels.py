"""What is at each pixel of a photo, read from image files when it is needed.

A semantic map is uint8 (H, W). Of a data set without objects, value i is class i. Of a
panoptic one, which has things and stuff, 0 is any thing and i >= 1 is stuff class
i - 1, as in detectron2. `IGNORED` is neither learned nor counted.

A panoptic map is int32 (H, W), the number of a segment, 0 for none. Its segments are
dicts of "id", the number; "label", int, of a thing in the class names, otherwise in the
names of stuff; "isthing", bool; and "iscrowd", bool, for a region of many things.
"""

import dataclasses
import os
import pathlib
import threading
from typing import Protocol

import numpy as np

from keras_fpn.preprocessing.photo import open_image

IGNORED = 255
MOST_CLASSES = 255  # values of uint8 but `IGNORED`
_IDS = 1 << 24  # of three channels of a byte
_LAST = threading.local()  # what each thread read last: an image has many segments
_SHOWN = 5  # ids in a message


class PixelLabels(Protocol):
    """The pixel labels of one photo."""

    @property
    def path(self) -> pathlib.Path | None:
        """The image file with them; None if there is none."""

    def semantic_map(self, size: tuple[int, int]) -> np.ndarray:
        """Returns uint8 (H, W); `size` is the photo's height and width, pixels."""

    def panoptic_map(self, size: tuple[int, int]) -> tuple[np.ndarray, list[dict]]:
        """Returns int32 (H, W) and its segments; see the module."""

    def signature(self) -> bytes:
        """Returns bytes that are equal for equal labels, but for the file's content."""


@dataclasses.dataclass(frozen=True)
class SemanticImage:
    """An image file of one channel whose pixels are class indices, 255 for none.

    Args:
        path: pathlib.Path.
        labels: tuple of int, the label of each value from 0 on; 255 for a class that
            is ignored.
    """

    path: pathlib.Path
    labels: tuple[int, ...]

    def semantic_map(self, size):
        """Returns uint8 (H, W), labels, or 255.

        Args:
            size: (height, width) of the photo.

        Raises:
            ValueError: the file cannot be read, has another size or several channels,
                or a pixel has an index without a class.
        """
        values, count = _read(self.path), len(self.labels)
        if values.ndim != 2 or values.dtype.kind not in "bui":
            raise ValueError(
                "A semantic label image must have one channel of class indices; "
                f"received {self.path} of shape {values.shape}, {values.dtype}."
            )
        _check_size(self.path, values.shape, size)
        wrong = [
            value
            for value in np.unique(values).tolist()
            if not 0 <= value < count and value != IGNORED
        ]
        if wrong:
            raise ValueError(
                f"Pixels of a semantic label image must be 0..{count - 1}, one "
                f"for each class, or {IGNORED} to ignore; received {self.path} with "
                f"{_few(wrong)}."
            )
        table = np.full(IGNORED + 1, IGNORED, np.uint8)
        table[:count] = self.labels
        return table[values.astype(np.uint8)]

    def panoptic_map(self, size):
        """Raises ValueError: classes do not tell one thing from the next."""
        raise ValueError(
            "Panoptic maps need segments; received the semantic label image "
            f"{self.path}. Read a COCO panoptic file."
        )

    def signature(self):
        """Returns bytes of the file's name and the labels."""
        name = self.path.name.encode("utf-8", errors="surrogateescape")
        return name + bytes(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class PanopticImage:
    """An image file whose pixels are ids of segments, R + 256 G + 65536 B; 0 for none.

    Args:
        path: pathlib.Path.
        ids: int32 (S,), 1..2^24 - 1, of the segments.
        labels: int16 (S,), see the module; -1 for a segment that is not evaluated.
        is_thing, is_crowd: bool (S,).
        semantic: uint8 (S,), the value of the segment in the semantic map.
    """

    path: pathlib.Path
    ids: np.ndarray
    labels: np.ndarray
    is_thing: np.ndarray
    is_crowd: np.ndarray
    semantic: np.ndarray

    def semantic_map(self, size):
        """Returns uint8 (H, W), 255 where there is no segment; see `ranks`."""
        return np.append(np.uint8(IGNORED), self.semantic)[self.ranks(size)]

    def panoptic_map(self, size):
        """Returns int32 (H, W) and its segments; see the module and `ranks`."""
        kept = self.labels >= 0
        numbers = np.append(0, np.where(kept, self.ids, 0)).astype(np.int32)
        segments = [
            {
                "id": int(self.ids[i]),
                "label": int(self.labels[i]),
                "isthing": bool(self.is_thing[i]),
                "iscrowd": bool(self.is_crowd[i]),
            }
            for i in np.flatnonzero(kept)
        ]
        return numbers[self.ranks(size)], segments

    def ranks(self, size):
        """Returns uint16 (H, W), at each pixel 1 + the index of its segment, or 0.

        Args:
            size: (height, width) of the photo.

        Raises:
            ValueError: the file cannot be read, has another size or other channels
                than RGB, or its ids are not those of the segments.
        """
        found = os.stat(self.path) if self.path.is_file() else None
        key = found and (str(self.path), found.st_mtime_ns, found.st_size)
        last = getattr(_LAST, "read", None)
        if last is None or last[0] is not self or last[1] != key:
            last = _LAST.read = self, key, self._read_ranks()
        ranks = last[2]
        _check_size(self.path, ranks.shape, size)
        return ranks

    def signature(self):
        """Returns bytes of the file's name and the segments."""
        name = self.path.name.encode("utf-8", errors="surrogateescape")
        arrays = self.ids, self.labels, self.is_thing, self.is_crowd, self.semantic
        return name + b"".join(np.ascontiguousarray(one).tobytes() for one in arrays)

    def _read_ranks(self):
        pixels = _read(self.path)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ValueError(
                "A panoptic label image must be RGB, 8 bits per channel; received "
                f"{self.path} of shape {pixels.shape}, {pixels.dtype}."
            )
        red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
        ids = red | green << 8 | blue << 16
        ranks, unknown = ranked(ids, self.ids)
        if unknown:
            raise ValueError(
                "Every id in a panoptic label image must be that of a segment in the "
                f"annotations; received {self.path} with ids {_few(unknown)}, which "
                "they lack."
            )
        counts = np.bincount(ranks.ravel(), minlength=len(self.ids) + 1)[1:]
        if not counts.all():
            raise ValueError(
                "Every segment in the annotations must be in its panoptic label "
                f"image; received {self.path} without the ids "
                f"{_few(self.ids[counts == 0].tolist())}."
            )
        return ranks


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class ImageSegment:
    """The segment of one object in a `PanopticImage`, in place of polygons.

    Args:
        image: PanopticImage.
        index: int, of the segment in it.
        area: float, square pixels, as the annotations state it.
    """

    image: PanopticImage
    index: int
    area: float

    def mask(self, size):
        """Returns bool (H, W), the pixels of the segment; see `PanopticImage.ranks`."""
        return self.image.ranks(size) == self.index + 1

    def __repr__(self):
        return f"segment {self.image.ids[self.index]} of {self.image.path.name}"


def ranked(numbers, ids):
    """Returns which of some ids each pixel has.

    Args:
        numbers: int (H, W), 0 for none.
        ids: int (S,), different ids, at most 2^16 - 1 of them.

    Returns:
        ranks: uint16 (H, W), 1 + the index of the id, 0 for none or another.
        unknown: list of int, the other numbers; also ids that are not in 1..2^24 - 1.
    """
    wrong = [number for number in ids.tolist() if not 0 < number < _IDS]
    ends = int(numbers.min()), int(numbers.max())
    wrong += [number for number in ends if not 0 <= number < _IDS]
    if wrong:
        return np.zeros(numbers.shape, np.uint16), wrong
    # Only the pages of it that are used become memory.
    table = np.zeros(_IDS, np.uint16)
    table[ids] = 1 + np.arange(len(ids))
    ranks = table[numbers]
    return ranks, np.unique(numbers[(ranks == 0) & (numbers != 0)]).tolist()


def _read(path):
    """Returns the pixels of a label image as they are stored; errors name the file."""
    if not path.is_file():
        raise ValueError(f"A label image must exist; received {path}, which does not.")
    try:
        with open_image(path) as image:
            return np.asarray(image)
    except Exception as error:  # decoders raise anything on damaged files
        reason = " ".join(str(error).split())
        raise ValueError(
            f"A label image must be readable; received {path}, which failed with: "
            f"{type(error).__name__}: {reason}"
        ) from error


def _check_size(path, shape, size):
    if tuple(shape) != tuple(size):
        raise ValueError(
            "A label image must have the height and width of its photo, "
            f"{tuple(size)}; received {path} of {tuple(shape)}."
        )


def _few(values):
    """Returns a list of numbers as text, shortened."""
    text = ", ".join(map(str, values[:_SHOWN]))
    return text if len(values) <= _SHOWN else f"{text} and {len(values) - _SHOWN} more"
