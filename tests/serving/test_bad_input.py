"""Input that no detector can answer: it gets a status, and its neighbors an answer."""

import contextlib
import pathlib
import struct
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf
from serving.conftest import FixedDetector, encoded, smooth
from serving.test_signatures import example
from skimage import data

from keras_fpn.export import export_saved_model
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.preprocessing.photo import SCAN_START

pytestmark = pytest.mark.tensorflow_only

JPEG = encoded(data.coffee()[:120, :160])
PNG = encoded(smooth(90, 120), "PNG")


PNG_START = b"\x89PNG\r\n\x1a\n"


def chunk(kind, contents):
    """Returns a part of a PNG file."""
    check = zlib.crc32(kind + contents)
    sizes = struct.pack(">I", len(contents)), struct.pack(">I", check)
    return sizes[0] + kind + contents + sizes[1]


def png_claiming(width, height):
    """Returns the start of a PNG that claims a size, with nothing behind it."""
    claim = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_START + chunk(b"IHDR", claim)


def png_with(first):
    """Returns a PNG of 90x120 pixels with a chunk before the one with its size."""
    return PNG_START + first + PNG[len(PNG_START) :]


def jpeg_of_size(jpeg, height, width):
    """Returns a JPEG whose frame claims another size than its pixels have."""
    place = jpeg.index(b"\xff\xc0") + 5
    return with_bytes(jpeg, place, struct.pack(">HH", height, width))


def jpeg_of_two_frames(jpeg, height, width):
    """Returns a JPEG with a second header of a frame, of another size, before its own.

    What reads the first header believes one size, what reads the last one another.
    """
    start = jpeg.index(b"\xff\xc0")
    (length,) = struct.unpack(">H", jpeg[start + 2 : start + 4])
    frame = jpeg[start : start + 2 + length]
    forged = with_bytes(frame, 5, struct.pack(">HH", height, width))
    return jpeg[:start] + forged + jpeg[start:]


def with_bytes(contents, place, new):
    return contents[:place] + new + contents[place + len(new) :]


def huffman_tables_broken(jpeg):
    """Returns a JPEG whose first Huffman table counts more codes than there can be."""
    return with_bytes(jpeg, jpeg.index(b"\xff\xc4") + 5, b"\xff" * 16)


def of_many_scans(width):
    """Returns a progressive JPEG whose last scan is repeated, without its data."""
    jpeg = encoded(np.zeros((width, width, 3), np.uint8), progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    header = jpeg[last : last + 10]
    return jpeg[:-2] + header * 3000 + jpeg[-2:]


def of_many_colors():
    """Returns a JPEG that is not progressive: scans of one color each, without data."""
    start = JPEG.index(b"\xff\xda")
    scan = b"\xff\xda\0\x08\1" + bytes([1, 0, 0, 63, 0])
    return JPEG[:start] + scan * 101 + b"\xff\xd9"


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
    "a png with another chunk first": (
        png_with(chunk(b"teSt", struct.pack(">II", 30, 20) + bytes(5))),
        b"damaged",
    ),
    "a png whose first chunk is too long": (
        PNG_START + chunk(b"IHDR", PNG[16:29] + b"\0") + PNG[33:],
        b"damaged",
    ),
    "a large jpeg": (jpeg_of_size(JPEG, 12000, 12000), b"too_many_pixels"),
    "a jpeg of size 0": (jpeg_of_size(JPEG, 0, 160), b"damaged"),
    "a jpeg of many scans": (of_many_scans(40), b"too_many_scans"),
    "a jpeg of many scans of a color": (of_many_colors(), b"too_many_scans"),
    "a jpeg of two frames": (jpeg_of_two_frames(JPEG, 30, 40), b"damaged"),
    "an absurd png": (png_claiming(2**32 - 1, 2**32 - 1), b"too_many_pixels"),
    "an oblong png": (encoded(smooth(1, 4000), "PNG"), b"too_oblong"),
}


def test_bad_photos_have_a_status_and_no_part_in_their_neighbors(ask):
    good = [JPEG, PNG, encoded(np.zeros((1, 1, 3), np.uint8), "PNG")]
    alone = ask(good)
    assert alone["status"].tolist() == [b"ok"] * 3
    assert (alone["num_detections"][:2] > 0).all()
    bad = [contents for contents, _ in BAD.values()]
    mixed = ask([bad[0], good[0], *bad[1:8], good[1], *bad[8:], good[2]])
    places = [1, 9, len(bad) + 2]
    rest = {name: np.delete(value, places, axis=0) for name, value in mixed.items()}
    statuses = dict(zip(BAD, rest["status"].tolist(), strict=True))
    assert statuses == {name: status for name, (_, status) in BAD.items()}
    for name, value in alone.items():
        if value.dtype == object:
            np.testing.assert_array_equal(mixed[name][places], value, name)
            continue
        # Some CPUs round the sums of a convolution otherwise in a larger batch.
        np.testing.assert_allclose(mixed[name][places], value, 1e-5, 1e-4, name)
    assert not rest["num_detections"].any()
    assert not rest["detection_boxes"].any()
    assert not rest["detection_scores"].any()
    assert (rest["detection_classes"] == -1).all()


def test_usual_scans_are_read_and_those_of_a_thumbnail_and_of_other_data_too(ask):
    start = b"Exif\0\0MM\0*\0\0\0\x08\0\0"
    jpeg = encoded(smooth(90, 120), progressive=True)
    exif = encoded(smooth(90, 120), progressive=True, exif=start + jpeg)
    assert exif.count(SCAN_START) == 20
    video = b"\xff\xda\1" * 200  # behind the photo, as phones append it
    scan = b"\xff\xda\0\x08\1" + bytes([1, 0, 0, 63, 0])
    most = encoded(smooth(90, 120), progressive=True) + scan * 90
    found = ask([jpeg, exif, exif + video, most, most + scan])
    assert found["status"].tolist() == [b"ok"] * 4 + [b"too_many_scans"]
    assert (found["num_detections"][:4] > 0).all()
    assert found["num_detections"][4] == 0


def test_a_large_jpeg_of_many_scans_takes_no_time(ask):
    photo = of_many_scans(4000)
    assert len(photo) < 2**20
    ask([PNG])
    start = time.process_time()
    assert ask([photo])["status"].tolist() == [b"too_many_scans"]
    assert time.process_time() - start < 5  # 20 and more, if it is decoded


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


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """Signatures of a detector that finds two objects and takes two photos at once."""
    model = FixedDetector(Preprocessing(min_size=800, max_size=800))
    folder = tmp_path_factory.mktemp("models") / "limited"
    folder = export_saved_model(model, folder, max_photos=2)
    return tf.saved_model.load(str(folder)).signatures


def test_photos_beyond_the_limit_of_a_request_have_a_status(limited):
    photos = [PNG, JPEG, JPEG, b"none"]  # 90x120, 120x160
    found = limited["serving_default"](inputs=tf.constant(photos))
    found = {name: value.numpy() for name, value in found.items()}
    assert found["status"].tolist() == [b"ok", b"ok", *[b"too_many_photos"] * 2]
    assert found["num_detections"].tolist() == [2, 2, 0, 0]
    assert found["detection_classes"].tolist() == [[48, 17, -1]] * 2 + [[-1] * 3] * 2
    whole = found["detection_boxes"][:, 0]
    expected = [[0, 0, 90, 120], [0, 0, 120, 160], [0] * 4, [0] * 4]
    np.testing.assert_allclose(whole, expected, rtol=1e-6)
    assert found["image_info"][:, 0].tolist() == [[90, 120], [120, 160], [0, 0], [0, 0]]
    assert not found["detection_scores"][2:].any()
    pixels = np.stack([smooth(30, 40)] * 3)
    found = limited["image_tensor"](inputs=tf.constant(pixels))
    assert found["status"].numpy().tolist() == [b"ok", b"ok", b"too_many_photos"]
    assert found["num_detections"].numpy().tolist() == [2, 2, 0]


def test_photos_beyond_the_limit_take_no_memory(limited):
    photo = encoded(np.zeros((1, 1, 3), np.uint8), "PNG")
    serve = limited["serving_default"]
    serve(inputs=tf.constant([photo] * 2))
    with contextlib.suppress(OSError):  # forgets the peak so far, where the system can
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = memory()["VmHWM"]
    serve(inputs=tf.constant([photo] * 200))  # resized, 1.5 GB
    assert memory()["VmHWM"] - before < 256 * 1024


def memory():
    """dict of name -> KiB of this process."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    found = [line.split() for line in lines if line.endswith(" kB")]
    return {name.rstrip(":"): int(size) for name, size, _ in found}
