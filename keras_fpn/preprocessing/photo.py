"""Reads photos: files, PIL images and arrays become uint8 (H, W, 3), RGB, upright."""

import os

import numpy as np
from PIL import ExifTags, Image, ImageFile

from keras_fpn.files import check_regular

# Pillow reads about 30 more. They are not for photos, and one runs a program: an EPS
# file, whatever its name, is passed to Ghostscript. The most common come first.
FORMATS = tuple("JPEG PNG WEBP BMP TIFF GIF PPM AVIF JPEG2000 DIB TGA QOI".split())
_JPEG = {"JPEG", "MPO"}  # the second is Pillow's name for one with several pictures
_FOUND = {*FORMATS, *_JPEG}
_UPRIGHT = {  # EXIF orientation -> operation that makes the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EIGHT_BIT_MODES = frozenset(
    "1 L LA P PA RGB RGBA RGBa RGBX CMYK YCbCr LAB HSV".split()
)


# Of a file: Pillow reads some formats whole. As many pixels as Pillow decodes without a
# warning take less, four bytes each.
MOST_BYTES = 2**29
# Of a JPEG file. Each goes over all pixels; usual are 10, and as many in a thumbnail.
MOST_SCANS = 100
# The start of each. The third byte belongs to a length, of at most 14.
SCAN_START = b"\xff\xda\0"


class UnsupportedPhoto(ValueError):
    """The format of a file is not accepted, or the range of its pixels is not known."""


def open_image(file):
    """Opens an image file if its content is in one of `FORMATS`, whatever its name.

    Nothing else in the package opens images.

    Args:
        file: str or os.PathLike, or a binary file object.

    Returns:
        PIL.Image, of which only the header has been read.

    Raises:
        UnsupportedPhoto: it has another format, its start is damaged, or it is a JPEG
            of more than 100 scans.
        OSError, or another error of Pillow: it cannot be read, or is a pipe, a device
            or too large.
    """
    if isinstance(file, (str, os.PathLike)):
        check_regular(file, MOST_BYTES)
    name = os.fspath(file) if isinstance(file, (str, os.PathLike)) else file
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        raise UnsupportedPhoto(
            f"A photo must be in one of the formats {', '.join(FORMATS)}; received "
            f"photo={name!r}, which is in none of them, or its start is damaged. "
            "Convert it to JPEG or PNG."
        ) from error
    if image.format in _JPEG and not _has_one_scan(image):
        scans = _count_scans(image)
        if scans > MOST_SCANS:
            image.close()
            raise UnsupportedPhoto(
                f"A JPEG must have at most {MOST_SCANS} scans; received "
                f"photo={name!r} with {scans}. Save it again."
            )
    return image


def _has_one_scan(image):
    """Returns whether the first scan of an opened JPEG has all its colors.

    It is the only one then, and Pillow has just read its header.
    """
    colors = len(image.getbands())
    header = SCAN_START + bytes([6 + 2 * colors, colors])
    end = image.fp.tell()
    start = end - 2 - header[3]
    if image.info.get("progressive") or start < 0:
        return False
    image.fp.seek(start)
    found = image.fp.read(len(header)) == header
    image.fp.seek(end)
    return found


def _count_scans(image):
    """Returns the scans in an opened JPEG file, int, with those of its thumbnails."""
    position = image.fp.tell()
    image.fp.seek(0)
    scans = image.fp.read().count(SCAN_START)  # data between markers has none
    image.fp.seek(position)
    return scans


def read_photo(photo):
    """Reads a photo as a viewer shows it: upright, three channels, eight bits.

    The EXIF orientation of files and PIL images is applied, and only the first frame
    of an animation is read. Gray becomes three equal channels. Alpha is dropped, not
    blended: pixels keep the color stored under their transparency. Color profiles
    are not applied.

    Args:
        photo: str or os.PathLike of a file, PIL image, or uint8 array (H, W),
            (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, 0..255.

    Returns:
        uint8 (H, W, 3), RGB; an array that already has this form is not copied.

    Raises:
        ValueError: the file does not exist, is damaged or not in one of `FORMATS`; or
            the photo has another type, dtype, rank or order of axes, or no pixels.
    """
    if isinstance(photo, (str, os.PathLike)):
        return _read_file(photo)
    if isinstance(photo, Image.Image):
        if isinstance(photo, ImageFile.ImageFile) and photo.format not in _FOUND:
            # It may not be decoded yet, and decoding may run a program.
            raise UnsupportedPhoto(
                "A PIL image of a file must be in one of the formats "
                f"{', '.join(FORMATS)}; received photo={photo!r} of format "
                f"{photo.format!r}. If you trust the file, pass photo.convert('RGB')."
            )
        try:
            photo.load()
        except Exception as error:  # decoders raise anything on damaged files
            raise ValueError(
                f"A PIL image must be readable; received photo={photo!r}, which "
                f"failed with: {_reason(error)}."
            ) from error
        return _pil_pixels(photo, photo)
    if not hasattr(photo, "__array__"):
        raise ValueError(
            "A photo must be a path, a PIL image or a uint8 array; received "
            f"photo of type {type(photo).__name__}. Encoded bytes are opened with "
            "PIL.Image.open(io.BytesIO(data))."
        )
    return _array_pixels(np.asarray(photo))


def _read_file(path):
    """Returns uint8 (H, W, 3) of an image file; every error names the file."""
    path = os.fspath(path)
    if not os.path.isfile(path):
        hint = "a folder" if os.path.isdir(path) else "which does not exist"
        if "://" in str(path):
            hint = "a URL: download it first"
        raise ValueError(
            f"A photo's path must be an image file; received photo={path!r}, {hint}."
        )
    try:
        with open_image(path) as image:
            _check_pixel_count(image)
            check_mode(image, path)
            image.load()
            return _pil_pixels(image, path)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(
            f"A photo must have at most {Image.MAX_IMAGE_PIXELS} pixels; received "
            f"photo={path!r}, which has more. Make it smaller, or raise "
            "PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
        ) from error
    except UnsupportedPhoto:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise ValueError(
            f"A photo must be a readable, undamaged image; received photo={path!r}, "
            f"which failed with: {_reason(error)}."
        ) from error


def _check_pixel_count(image):
    """Raises Pillow's error for the sizes for which Pillow warns.

    Turning its warning into an error would change the warning filters of all threads:
    they belong to the process, and threads that restore them in turn leave wrong ones.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError


def check_mode(image, received):
    """Raises for an opened image whose pixels have a range that is not known.

    Args:
        image: PIL.Image, of which only the header has been read.
        received: what the message calls it.

    Raises:
        UnsupportedPhoto: its mode is not one of 8 bits, nor that of a gray PNG of 16.
    """
    if image.mode not in _EIGHT_BIT_MODES and not _is_sixteen_bit_png(image):
        raise UnsupportedPhoto(
            "A photo's pixels must be gray or color values of 8 bits; received "
            f"photo={received!r} of PIL mode {image.mode!r}, whose range is not known. "
            "Scale its pixels to 0..255 and cast them to uint8."
        )


def _is_sixteen_bit_png(image):
    return image.mode == "I;16" and image.format == "PNG"


def _reason(error):
    """Returns the text of an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")


def _pil_pixels(image, received):
    """Returns uint8 (H, W, 3), upright, of a loaded PIL image."""
    if 0 in image.size:
        raise UnsupportedPhoto(
            "A photo must have pixels; received "
            f"photo={received!r} of {image.width}x{image.height}."
        )
    check_mode(image, received)
    mode, sixteen_bit_png = image.mode, _is_sixteen_bit_png(image)
    transpose = _UPRIGHT.get(orientation(image.getexif))
    if transpose is not None:
        image = image.transpose(transpose)
    if sixteen_bit_png:
        # PNG defines 0..65535 as black to white, and Pillow itself keeps the high byte
        # of all other 16-bit PNGs, those in color or with alpha.
        gray = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if mode in ("P", "PA"):  # via RGBA, Pillow keeps the stored colors
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def orientation(getexif):
    """Returns the EXIF orientation, 1..8, or None; None also for damaged EXIF.

    Args:
        getexif: function that returns the EXIF block of an image.
    """
    try:
        found = getexif().get(ExifTags.Base.Orientation)
        return found if found in range(1, 9) else None
    except Exception:  # viewers show such a photo as stored
        return None


def _array_pixels(array):
    """Returns uint8 (H, W, 3) of an array; see `read_photo`."""
    received = f"received an array of dtype={array.dtype}, shape={array.shape}"
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"A photo must not contain NaN pixels; {received}.")
    if array.dtype != np.uint8:
        numeric = array.dtype.kind in "biuf" and array.size > 0
        extent = f" with values {array.min()}..{array.max()}" if numeric else ""
        raise ValueError(
            f"A photo's pixels must be uint8; {received}{extent}. Scale them to 0..255 "
            "and cast them: .astype('uint8')."
        )
    if array.ndim == 4:
        raise ValueError(
            f"A photo must be one image, (H, W), (H, W, 1|3|4); {received}. Pass a "
            "batch as a list of images: list(array)."
        )
    if array.ndim not in (2, 3):
        raise ValueError(f"A photo must be (H, W) or (H, W, 1|3|4); {received}.")
    if array.size == 0:
        raise ValueError(f"A photo must have pixels; {received}.")
    if array.ndim == 2:
        array = array[:, :, None]
    channels = array.shape[2]
    if channels not in (1, 3, 4):
        remedy = "Pass gray, RGB or RGBA."
        if array.shape[0] in (1, 3, 4):
            remedy = "Move its first axis to the end: np.moveaxis(array, 0, -1)."
        raise ValueError(
            f"A photo's channels must come last, 1, 3 or 4 of them; {received}. "
            f"{remedy}"
        )
    return np.repeat(array, 3, axis=2) if channels == 1 else array[:, :, :3]
