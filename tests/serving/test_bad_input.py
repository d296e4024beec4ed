"""Input that no detector can answer: it gets a status, and its neighbours an answer."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from serving.conftest import encoded, smooth
from serving.test_signatures import example
from skimage import data

pytestmark = pytest.mark.tensorflow_only

JPEG = encoded(data.coffee()[:120, :160])
PNG = encoded(smooth(90, 120), "PNG")


def png_claiming(width, height):
    """Returns the start of a PNG that claims a size, with nothing behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + check


def with_bytes(contents, place, new):
    return contents[:place] + new + contents[place + len(new) :]


def huffman_tables_broken(jpeg):
    """Returns a JPEG whose first Huffman table counts more codes than there can be."""
    return with_bytes(jpeg, jpeg.index(b"\xff\xc4") + 5, b"\xff" * 16)


BAD = {
    "empty": (b"", b"not_jpeg_or_png"),
    "text": (b"hello", b"not_jpeg_or_png"),
    "a lone marker": (b"\xff\xd8\xff", b"damaged"),
    "a gif": (encoded(smooth(9, 9), "GIF"), b"not_jpeg_or_png"),
    "a bitmap": (encoded(smooth(9, 9), "BMP"), b"not_jpeg_or_png"),
    "a truncated jpeg": (JPEG[: len(JPEG) // 2], b"damaged"),
    "a jpeg cut in its header": (JPEG[:40], b"damaged"),
    "broken tables": (huffman_tables_broken(JPEG), b"damaged"),
    "a truncated png": (PNG[: len(PNG) // 2], b"damaged"),
    "a png without pixels": (png_claiming(30, 20), b"damaged"),
    "a png of size 0": (png_claiming(0, 20), b"damaged"),
    "a png of a wrong checksum": (with_bytes(PNG, 16, b"\1"), b"too_many_pixels"),
    "a large png": (png_claiming(12000, 12000), b"too_many_pixels"),
    "an absurd png": (png_claiming(2**32 - 1, 2**32 - 1), b"too_many_pixels"),
    "an oblong png": (encoded(smooth(1, 4000), "PNG"), b"too_oblong"),
}


def test_bad_photos_have_a_status_and_no_part_in_their_neighbours(ask):
    good = [JPEG, PNG, encoded(np.zeros((1, 1, 3), np.uint8), "PNG")]
    alone = ask(good)
    assert alone["status"].tolist() == [b"ok"] * 3
    assert (alone["num_detections"][:2] > 0).all()
    bad = [contents for contents, _ in BAD.values()]
    mixed = ask([bad[0], good[0], *bad[1:8], good[1], *bad[8:], good[2]])
    places = [1, 9, len(bad) + 2]
    for name, value in alone.items():
        np.testing.assert_array_equal(mixed[name][places], value, name)
    rest = {name: np.delete(value, places, axis=0) for name, value in mixed.items()}
    statuses = dict(zip(BAD, rest["status"].tolist(), strict=True))
    assert statuses == {name: status for name, (_, status) in BAD.items()}
    assert not rest["num_detections"].any()
    assert not rest["detection_boxes"].any()
    assert not rest["detection_scores"].any()
    assert (rest["detection_classes"] == -1).all()


def test_a_batch_of_bad_photos_alone_is_answered(ask):
    outputs = ask([b"one", b""])
    assert outputs["status"].tolist() == [b"not_jpeg_or_png"] * 2
    assert outputs["num_detections"].tolist() == [0, 0]


@pytest.mark.parametrize("signature", ["serving_default", "tf_example", "image_tensor"])
def test_an_empty_batch_has_an_empty_answer(ask, signature):
    shape = (0, 0, 0, 3) if signature == "image_tensor" else (0,)
    outputs = ask(np.zeros(shape, np.uint8), signature)
    assert outputs["detection_boxes"].shape == (0, 20, 4)
    assert outputs["status"].shape == (0,)


def test_examples_without_a_photo_have_a_status(ask):
    number = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    number = tf.train.Features(feature={"image/encoded": number})
    examples = [
        example(image__encoded=JPEG),
        example(image__format=b"jpeg"),
        example(image__encoded=b"hello"),
        b"no example",
        tf.train.Example(features=number).SerializeToString(),
        b"",
    ]
    outputs = ask(examples, "tf_example")
    assert outputs["status"].tolist() == [
        b"ok",
        b"no_image_encoded",
        b"not_jpeg_or_png",
        b"damaged",
        b"damaged",
        b"no_image_encoded",
    ]
    assert outputs["num_detections"][0] > 0


def test_pixels_that_cannot_be_resized_have_a_status(ask):
    outputs = ask(np.zeros((2, 1, 4000, 3), np.uint8), "image_tensor")
    assert outputs["status"].tolist() == [b"too_oblong"] * 2
    outputs = ask(np.zeros((1, 0, 5, 3), np.uint8), "image_tensor")
    assert outputs["status"].tolist() == [b"damaged"]
