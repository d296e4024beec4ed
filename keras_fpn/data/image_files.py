"""The image files of a data set: finding them, their sizes, copying them."""

import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import shutil
import threading
import warnings
from collections.abc import Sequence

from PIL import Image

from keras_fpn.files import PathLike
from keras_fpn.preprocessing.photo import (
    UnsupportedPhoto,
    check_mode,
    open_image,
    orientation,
)

PHOTO_SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jpe .jpeg .jpg .mpo .png .ppm .tif .tiff .webp".split()
)
_THREADS = 8
_FILTERED = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Header:
    """What the header of an image file says; its pixels are not decoded.

    Args:
        height, width: int, pixels, of the upright photo (EXIF rotation applied).
        orientation: int, 1..8, of EXIF; 1 is upright, from 5 on the sides are swapped.
        unsupported: str, why it can be no photo, or None; a label image may be such.
    """

    height: int
    width: int
    orientation: int = 1
    unsupported: str | None = None

    @property
    def size(self):
        """Returns height and width, of the upright photo."""
        return self.height, self.width

    @property
    def stored_size(self):
        """Returns height and width, of the pixels as they are stored."""
        return self.size[::-1] if self.orientation >= 5 else self.size


def check_folders(**folders: pathlib.Path):
    """Raises ValueError, with what is in it, if a folder is missing."""
    for name, folder in folders.items():
        if not folder.is_dir():
            raise ValueError(
                f"The folder of {name} must exist; received {str(folder)!r}, which is "
                "no folder."
            )


def read_headers(paths):
    """Reads the headers of image files, several at once.

    Args:
        paths: list of Path.

    Returns:
        list of Header, None for a missing file, or str, why it cannot be read.
    """
    # Warning filters belong to the whole process: they are set outside the threads,
    # by one caller at a time.
    with _FILTERED, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(_read_header, paths))


def _read_header(path):
    try:
        with open_image(path) as image:
            width, height = image.size
            # Not image.getexif(): for PNG it decodes the pixels, to find an EXIF block
            # that comes after them.
            turn = orientation(lambda: Image.Image.getexif(image)) or 1
            turned = image.format == "TIFF"  # Pillow returns the upright size of these
            unsupported = _unsupported(image, path)
    except FileNotFoundError:
        return None
    except UnsupportedPhoto as error:
        return str(error)
    except Exception as error:  # decoders raise anything on damaged files
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if 0 in (width, height):
        return f"it has no pixels: {width}x{height}"
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        return f"{width}x{height} is above PIL.Image.MAX_IMAGE_PIXELS"
    if turn >= 5 and not turned:
        width, height = height, width
    return Header(height, width, turn, unsupported)


def _unsupported(image, path):
    """Returns why `read_photo` refuses an opened image, str, or None."""
    try:
        check_mode(image, str(path))
    except UnsupportedPhoto as error:
        return str(error)
    return None


def find_photos(folder: PathLike) -> list[pathlib.Path]:
    """Returns the image files in and below a folder, sorted list of Path."""
    return sorted(
        pathlib.Path(root, name)
        for root, _, names in os.walk(folder)
        for name in names
        if is_photo(name)
    )


def is_photo(name: str | pathlib.Path) -> bool:
    """Returns whether a file name is that of an image, and not hidden."""
    path = pathlib.PurePath(name)
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def resolved(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Returns the Path of a file named in annotations, also if written a\\b.jpg."""
    path = pathlib.Path(folder, name)
    if "\\" in str(name) and not os.path.exists(path):
        return pathlib.Path(folder, str(name).replace("\\", "/"))
    return path


def relative_path(path: pathlib.Path, folder: pathlib.Path) -> str:
    """Returns a path relative to a folder, with slashes; absolute on another drive."""
    try:
        return pathlib.Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return pathlib.Path(path).absolute().as_posix()


def image_ids(paths: Sequence[pathlib.Path]) -> list[int]:
    """Returns an int for each photo of a data set that does not number them.

    These are the numbers in the names if all names are different integers, as in COCO
    ("000000000139.jpg" is 139); otherwise 1, 2, ... in order.
    """
    stems = [path.stem for path in paths]
    if all(stem.isascii() and stem.isdigit() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers) and max(numbers, default=0) < 2**31:
            return numbers
    return list(range(1, len(paths) + 1))


def copy_photos(photos, folder):
    """Copies photos into one folder; equal names get the image id appended.

    An existing file is replaced, unless it is the photo itself.

    Args:
        photos: Photos of a data set.
        folder: pathlib.Path, created if missing.

    Returns:
        list of Path, the copies; no two stems are equal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = collections.Counter(photo.path.stem.lower() for photo in photos)
    copies = []
    for photo in photos:
        single = stems[photo.path.stem.lower()] == 1
        stem = photo.path.stem if single else f"{photo.path.stem}_{photo.image_id}"
        copy = folder / f"{stem}{photo.path.suffix}"
        if not (copy.exists() and copy.samefile(photo.path)):
            shutil.copyfile(photo.path, copy)
        copies.append(copy)
    return copies
