"""Reads photos inside a TensorFlow graph, so that a bad one fails alone.

A graph cannot catch exceptions: an operation that fails ends the whole request. But a
tf.data.Dataset can skip elements that fail, so every photo is read as a Dataset of one
element. This costs about a millisecond per photo.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_fpn.preprocessing import Preprocessing
from keras_fpn.preprocessing.photo import MOST_SCANS, SCAN_START

OK = "ok"
NO_FIELD = "no_image_encoded"
NO_IMAGE = "not_jpeg_or_png"
TOO_LARGE = "too_many_pixels"
TOO_MANY_SCANS = "too_many_scans"  # a JPEG of a few bytes may take half a minute
TOO_OBLONG = "too_oblong"
TOO_MANY = "too_many_photos"
DAMAGED = "damaged"  # or unreadable for another reason, such as a lack of memory

_JPEG_START = b"\xff\xd8\xff"
_PNG_START = b"\x89PNG\r\n\x1a\n"
# The first chunk must be the one with the size. libpng skips unknown chunks before it,
# so the size would be read from one of those.
_PNG_SIZE_CHUNK = _PNG_START + b"\0\0\0\rIHDR"
_HEADER = len(_PNG_SIZE_CHUNK) + 8  # bytes up to the end of width and height
_LARGEST_SIDE = 2**31 - 1  # a PNG may claim more; two such sides would overflow


class PhotoReader:
    """Reads one photo; returns its status, its resized pixels and its size.

    Each method returns `status`, string (), `OK` or why there are no pixels; `photo`,
    float32 (h, w, 3), RGB, 0..255, resized as by `keras_fpn.preprocessing`, (0, 0, 3)
    unless `OK`; `size`, int32 (2,), the photo's own height and width, 0 if unknown.

    Args:
        preprocessing: `keras_fpn.preprocessing.Preprocessing`, of the detector.
        max_pixels: photos with more pixels are not decoded.
    """

    def __init__(self, preprocessing: Preprocessing, max_pixels: int):
        self.min_size = preprocessing.min_size
        self.max_size = preprocessing.max_size
        self.size, self.resize = _RULES[preprocessing.rule]
        self.max_pixels = max_pixels

    def encoded(self, contents):
        """Reads a JPEG or PNG file: contents is string (), its bytes."""
        return _attempt(self._encoded, contents)

    def example(self, serialized):
        """Reads "image/encoded" of a tf.train.Example: serialized is string ()."""
        return _attempt(self._example, serialized)

    def pixels(self, photo):
        """Takes pixels: photo is uint8 (H, W, 3), RGB."""
        size = tf.shape(photo)[:2]
        return self._resized(self._status(size), lambda: photo, size)

    def _example(self, serialized):
        field = tf.io.FixedLenFeature([], tf.string, default_value="")
        parsed = tf.io.parse_single_example(serialized, {"image/encoded": field})
        status, photo, size = self._encoded(parsed["image/encoded"])
        absent = tf.equal(tf.strings.length(parsed["image/encoded"]), 0)
        return tf.where(absent, NO_FIELD, status), photo, size

    def _encoded(self, contents):
        header = tf.strings.substr(contents, 0, _HEADER)
        header = tf.strings.join([header, b"\0" * _HEADER])  # it may be shorter
        is_jpeg = _starts_with(header, _JPEG_START)
        is_png = _starts_with(header, _PNG_START)
        size = tf.cond(
            is_jpeg,
            lambda: tf.image.extract_jpeg_shape(contents)[:2],
            lambda: tf.where(is_png, _png_size(header), 0),
        )
        status = tf.where(is_jpeg | is_png, self._status(size), NO_IMAGE)
        is_slow = tf.cond(
            is_jpeg & tf.equal(status, OK),
            lambda: _has_many_scans(contents),
            lambda: tf.constant(False),
        )
        status = tf.where(is_slow, TOO_MANY_SCANS, status)

        def decode():
            # Gives the same pixels as Pillow. Reads PNG, too, and drops alpha.
            photo = tf.io.decode_jpeg(
                contents, channels=3, dct_method="INTEGER_ACCURATE"
            )
            return _checked(photo, size)

        return self._resized(status, decode, size)

    def _status(self, size):
        sides = tf.cast(size, tf.int64)
        pixels = sides[0] * sides[1]
        status = tf.where(tf.reduce_min(self._resized_size(size)) < 1, TOO_OBLONG, OK)
        status = tf.where(pixels > self.max_pixels, TOO_LARGE, status)
        return tf.where(pixels < 1, DAMAGED, status)

    def _resized(self, status, photo, size):
        def resize():
            resized = self._resized_size(size)
            return self.resize(photo(), resized)

        photo = tf.cond(tf.equal(status, OK), resize, lambda: tf.zeros((0, 0, 3)))
        photo.set_shape((None, None, 3))
        return status, photo, size

    def _resized_size(self, size):
        """As `Preprocessing.resized_size`, but sides may become 0."""
        sides = tf.maximum(tf.cast(size, tf.float64), 1.0)
        return self.size(sides, self.min_size, self.max_size)


def read_batch(items, read: Callable, size_divisor: int):
    """Reads photos into one padded batch, as `Preprocessing.prepare` does.

    Photos that cannot be read do not affect the size of the batch.

    Args:
        items: tensor (B, ...), B at least 1.
        read: method of `PhotoReader` that takes one of the items.
        size_divisor: the padded sides are multiples of it, pixels.

    Returns:
        images: float32 (B, H, W, 3), zero in the padding.
        image_sizes: float32 (B, 2), height and width without the padding.
        sizes: int32 (B, 2), the photos' own height and width.
        status: string (B,).
    """
    count = tf.shape(items)[0]
    start = (
        tf.TensorArray(tf.string, count, element_shape=()),
        tf.TensorArray(
            tf.float32, count, infer_shape=False, element_shape=(None, None, 3)
        ),
        tf.TensorArray(tf.int32, count, element_shape=(2,)),
        tf.TensorArray(tf.int32, count, element_shape=(2,)),
    )

    def read_one(i, status, photos, resized, sizes):
        status_i, photo, size = read(items[i])
        return (
            i + 1,
            status.write(i, status_i),
            photos.write(i, photo),
            resized.write(i, tf.shape(photo)[:2]),
            sizes.write(i, size),
        )

    _, status, photos, resized, sizes = tf.while_loop(
        lambda i, *_: i < count, read_one, (0, *start)
    )
    resized = resized.stack()
    cells = tf.math.ceil(tf.reduce_max(resized, axis=0) / size_divisor)
    padded = tf.maximum(tf.cast(cells, tf.int32), 1) * size_divisor

    def pad(i):
        margin = tf.concat([padded - resized[i], [0]], axis=0)
        return tf.pad(photos.read(i), tf.stack([tf.zeros_like(margin), margin], axis=1))

    images = tf.map_fn(
        pad, tf.range(count), fn_output_signature=tf.TensorSpec((None, None, 3))
    )
    return images, tf.cast(resized, tf.float32), sizes.stack(), status.stack()


def _attempt(read, item):
    """Returns read(item), or the status `DAMAGED` if `read` fails.

    The Dataset does not tell why it failed: a lack of memory looks the same.
    """
    options = tf.data.Options()
    options.autotune.enabled = False  # costs more than it saves for one element
    options.experimental_optimization.apply_default_optimizations = False
    damaged = DAMAGED, tf.zeros((0, 0, 3)), tf.zeros((2,), tf.int32)
    return (
        tf.data.Dataset.from_tensors(item)
        .map(read)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(damaged))
        .take(1)
        .with_options(options)
        .get_single_element()
    )


def _checked(photo, size):
    """Returns the photo; fails unless it has the size that its header says."""
    same = tf.reduce_all(tf.equal(tf.shape(photo)[:2], size))
    with tf.control_dependencies([tf.Assert(same, [size])]):
        return tf.identity(photo)


def _resized_size(sides, min_size, max_size):
    """As `keras_fpn.preprocessing.resized_size`."""
    scale = tf.minimum(min_size / tf.reduce_min(sides), max_size / tf.reduce_max(sides))
    return tf.cast(tf.floor(sides * scale), tf.int32)


def _resize(photo, size):
    """As `keras_fpn.preprocessing.resize`."""
    return tf.image.resize(photo, size, "bilinear", antialias=False)


def _rounded_size(sides, min_size, max_size):
    """As `keras_fpn.preprocessing.resize_rules.rounded_size`."""
    shorter = tf.reduce_min(sides)
    exact = tf.cast(min_size, sides.dtype)  # not a product, which may be rounded
    sides = tf.where(sides == shorter, exact, sides * (min_size / shorter))
    longer = tf.reduce_max(sides)
    sides = tf.where(longer > max_size, sides * (max_size / longer), sides)
    return tf.maximum(tf.cast(sides + 0.5, tf.int32), 1)


def _resize_antialiased(photo, size):
    """As `keras_fpn.preprocessing.resize_rules.resize_antialiased`.

    Pillow, too, resizes rows first and rounds in between. Its fixed-point weights round
    a few pixels otherwise, by one gray level.
    """
    height, width = tf.shape(photo)[0], size[1]
    for step in ((height, width), size):
        photo = tf.image.resize(photo, step, "bilinear", antialias=True)
        photo = tf.floor(photo + 0.5)
    return photo


_RULES = {
    "torchvision": (_resized_size, _resize),
    "detectron2": (_rounded_size, _resize_antialiased),
}


def _starts_with(header, start):
    return tf.equal(tf.strings.substr(header, 0, len(start)), start)


def _has_many_scans(contents):
    """Returns whether a JPEG has more scans than `keras_fpn.preprocessing` reads.

    It takes 1 ms per megabyte of the file.
    """
    # Not tf.strings.split, which makes a ragged tensor of the same pieces.
    pieces = tf.raw_ops.StringSplitV2(
        input=contents[None], sep=SCAN_START, maxsplit=MOST_SCANS + 1
    )
    return pieces.shape[1] - 1 > MOST_SCANS


def _png_size(header):
    """Returns the height and width in a PNG's header, int32 (2,); 0 if it is no PNG."""
    there = tf.cast(_starts_with(header, _PNG_SIZE_CHUNK), tf.int32)
    numbers = tf.io.decode_raw(tf.strings.substr(header, _HEADER - 8, 8), tf.uint8)
    numbers = tf.reshape(tf.cast(numbers, tf.int64), (2, 4))
    sides = tf.reduce_sum(numbers * [1 << 24, 1 << 16, 1 << 8, 1], axis=1)
    return there * tf.cast(tf.minimum(sides, _LARGEST_SIDE), tf.int32)[::-1]
