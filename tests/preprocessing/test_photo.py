import concurrent.futures
import io
import warnings

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from keras_fpn.preprocessing import read_photo
from keras_fpn.preprocessing.photo import FORMATS, open_image

# Distinct corners, so that every way of turning it shows: 2 rows, 3 columns.
PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10


def stored(folder, pixels, name, **options):
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


def exif_orientation(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def test_a_colour_photo_is_read_as_it_is_from_path_text_pil_and_array(tmp_path):
    path = stored(tmp_path, PIXELS, "a.png")
    for photo in (path, str(path), Image.open(path), Image.fromarray(PIXELS), PIXELS):
        pixels = read_photo(photo)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, PIXELS)


def test_an_rgb_array_is_not_copied():
    assert np.shares_memory(read_photo(PIXELS), PIXELS)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_grey_arrays_become_three_equal_channels(shape):
    grey = np.arange(6, dtype=np.uint8).reshape(shape)
    pixels = read_photo(grey)
    assert pixels.shape == (2, 3, 3)
    for channel in range(3):
        np.testing.assert_array_equal(pixels[:, :, channel].ravel(), np.arange(6))


def test_alpha_of_arrays_is_dropped_and_not_blended():
    alpha = np.zeros((2, 3, 1), np.uint8)  # wholly transparent
    np.testing.assert_array_equal(read_photo(np.dstack([PIXELS, alpha])), PIXELS)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, PIXELS),
        (2, PIXELS[:, ::-1]),
        (3, PIXELS[::-1, ::-1]),
        (4, PIXELS[::-1]),
        (5, PIXELS.transpose(1, 0, 2)),
        (6, np.rot90(PIXELS, -1)),  # the camera's top is on the right
        (7, PIXELS[::-1, ::-1].transpose(1, 0, 2)),
        (8, np.rot90(PIXELS)),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_exif_orientation_is_applied_to_files_and_pil_images(
    tmp_path, orientation, upright, suffix
):
    exif = exif_orientation(orientation)
    path = stored(tmp_path, PIXELS, f"turned.{suffix}", exif=exif)
    np.testing.assert_array_equal(read_photo(path), upright)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_photo(image), upright)


def test_an_unknown_or_damaged_orientation_leaves_the_photo_as_stored(tmp_path):
    path = stored(tmp_path, PIXELS, "odd.png", exif=exif_orientation(99))
    np.testing.assert_array_equal(read_photo(path), PIXELS)
    path = stored(tmp_path, PIXELS, "damaged.png", exif=b"Exif\0\0MM\0\x2bnonsense")
    np.testing.assert_array_equal(read_photo(path), PIXELS)


@pytest.mark.parametrize(
    ("mode", "color", "rgb"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 7, (7, 7, 7)),
        ("LA", (7, 0), (7, 7, 7)),
        ("RGBA", (1, 2, 3, 0), (1, 2, 3)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),  # full cyan takes all red
        ("YCbCr", (90, 128, 128), (90, 90, 90)),  # 128: no colour
        ("HSV", (0, 0, 60), (60, 60, 60)),
        ("RGBa", (1, 2, 3, 255), (1, 2, 3)),  # premultiplied, opaque
    ],
)
def test_pil_modes_become_rgb(mode, color, rgb):
    pixels = read_photo(Image.new(mode, (2, 1), color))
    np.testing.assert_array_equal(pixels, [[rgb, rgb]])


@pytest.mark.parametrize("alpha", [[255, 0], [128, 0]])  # Pillow reads an int, bytes
def test_a_palette_with_transparency_keeps_the_stored_colours(tmp_path, alpha):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    path = tmp_path / "palette.png"
    image.save(path, transparency=bytes(alpha))
    np.testing.assert_array_equal(read_photo(path), [[[10, 20, 30], [40, 50, 60]]])


def test_a_grey_png_of_16_bits_is_read_by_its_high_bytes_even_if_turned(tmp_path):
    grey = np.array([[0, 255, 256], [32768, 65279, 65535]], np.uint16)
    high = np.array([[0, 0, 1], [128, 254, 255]])  # value // 256
    exif = exif_orientation(3)
    for options, expected in (({}, high), ({"exif": exif}, high[::-1, ::-1])):
        pixels = read_photo(stored(tmp_path, grey, "deep.png", **options))
        np.testing.assert_array_equal(pixels, np.dstack([expected] * 3))


@pytest.mark.parametrize(
    ("dtype", "mode"), [(np.uint16, "I;16"), (np.int32, "I"), (np.float32, "F")]
)
def test_deep_pixels_without_a_certain_range_are_refused(tmp_path, dtype, mode):
    image = Image.fromarray(np.ones((2, 2), dtype))
    image.save(tmp_path / "deep.tiff")
    message = rf"received photo=.*mode '{mode}'.*Scale its pixels to 0..255"
    for photo in (image, tmp_path / "deep.tiff"):
        with pytest.raises(ValueError, match=message):
            read_photo(photo)


@pytest.mark.parametrize("form", [*FORMATS, "MPO"])
def test_every_format_of_the_list_is_read_whatever_the_file_is_called(tmp_path, form):
    path = tmp_path / "photo"
    more = {"append_images": [Image.new("RGB", (8, 8))]} if form == "MPO" else {}
    Image.new("RGB", (8, 8), (200, 200, 200)).save(path, form, **more)
    with open_image(path) as image:
        assert image.format == form
        pixels = read_photo(image)
    np.testing.assert_array_equal(read_photo(path), pixels)
    assert pixels.shape == (8, 8, 3)
    assert abs(pixels.astype(int) - 200).max() <= 2  # what lossy formats lose of grey


@pytest.fixture
def ghostscript(monkeypatch):
    """The calls of Ghostscript, which paints everything in one colour."""
    calls = []

    def paint(tile, size, *args):
        calls.append(size)
        return Image.new("RGB", size, (1, 2, 3)).im

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", paint)
    return calls


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 2\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize("name", ["a.eps", "a.jpg"])
def test_no_file_makes_pillow_run_ghostscript(tmp_path, ghostscript, name):
    path = tmp_path / name
    path.write_bytes(EPS)
    with Image.open(path) as image:
        assert image.convert("RGB").size == (4, 2)
    assert ghostscript == [(4, 2)]  # so Pillow would
    message = rf"one of the formats JPEG, PNG, .*photo='.*{name}', which.*Convert it"
    with pytest.raises(ValueError, match=message):
        read_photo(path)
    with pytest.raises(ValueError, match=message):
        open_image(path)
    assert len(ghostscript) == 1


def test_a_pil_image_of_another_format_is_refused_before_it_is_decoded(ghostscript):
    image = Image.open(io.BytesIO(EPS))
    with pytest.raises(ValueError, match=r"format 'EPS'. If you trust .*convert"):
        read_photo(image)
    assert ghostscript == []
    # As the message says: who trusts it lets Pillow decode it first.
    np.testing.assert_array_equal(read_photo(image.convert("RGB"))[0, 0], [1, 2, 3])


def test_a_missing_file_a_folder_and_an_address_are_told_apart(tmp_path):
    with pytest.raises(ValueError, match=r"photo='.*gone\.jpg', which does not exist"):
        read_photo(tmp_path / "gone.jpg")
    with pytest.raises(ValueError, match=r"received photo='.*', a folder"):
        read_photo(tmp_path)
    with pytest.raises(
        ValueError, match=r"photo='https://a\.b/c\.jpg', a URL: download it"
    ):
        read_photo("https://a.b/c.jpg")


@pytest.mark.parametrize("content", [b"", b"a text", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_image_are_refused_by_name(tmp_path, content):
    path = tmp_path / "note.jpg"
    path.write_bytes(content)
    message = r"photo='.*note\.jpg', which is in none of them, or .*Convert it to JPEG"
    with pytest.raises(ValueError, match=message):
        read_photo(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = stored(tmp_path, pixels, f"cut.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"undamaged.*photo='.*cut\.{suffix}'"):
        read_photo(path)


def test_a_truncated_pil_image_is_refused(tmp_path):
    content = stored(tmp_path, np.zeros((64, 64, 3), np.uint8), "a.bmp").read_bytes()
    image = Image.open(io.BytesIO(content[:500]))
    with pytest.raises(ValueError, match=r"readable; received photo=<PIL.*truncated"):
        read_photo(image)


@pytest.mark.parametrize("limit", [2, 4])  # of 6 pixels: Pillow's error, its warning
def test_a_decompression_bomb_is_refused_with_the_limit(tmp_path, monkeypatch, limit):
    path = stored(tmp_path, PIXELS, "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=rf"at most {limit} pixels.*bomb\.png"):
        read_photo(path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, 2, 3), np.nan), r"NaN pixels; received .*dtype=float64"),
        (
            np.full((2, 2, 3), 0.5, np.float32),
            r"uint8; received .*float32, shape=\(2, 2, 3\) with values 0.5..0.5",
        ),
        (np.full((2, 2), 300, np.uint16), r"uint16.*values 300..300. Scale them to 0"),
        (np.array([["a"]]), r"must be uint8; received an array of dtype=<U1"),
        (np.zeros((3, 8, 9), np.uint8), r"\(3, 8, 9\). Move its first axis.*moveaxis"),
        (np.zeros((1, 8, 9), np.uint8), r"\(1, 8, 9\). Move its first axis"),
        (np.zeros((4, 8, 9), np.uint8), r"\(4, 8, 9\). Move its first axis"),
        (np.zeros((8, 9, 2), np.uint8), r"\(8, 9, 2\). Pass gray, RGB or RGBA"),
        (np.zeros((1, 8, 9, 3), np.uint8), r"\(1, 8, 9, 3\). Pass a batch as a list"),
        (np.zeros(8, np.uint8), r"must be \(H, W\).*shape=\(8,\)"),
        (np.zeros((0, 5, 3), np.uint8), r"must have pixels; .*\(0, 5, 3\)"),
        (np.zeros((0, 5)), r"must be uint8; received .*shape=\(0, 5\)\. Scale"),
        (Image.new("RGB", (0, 5)), r"must have pixels; .*0x5"),
        ([[0, 1], [2, 3]], r"path, a PIL image or a uint8 array; .*type list"),
        (b"\xff\xd8", r"type bytes. Encoded bytes are opened with"),
    ],
)
def test_what_is_no_photo_is_refused(array, message):
    with pytest.raises(ValueError, match=message):
        read_photo(array)


def test_reading_in_many_threads_leaves_the_filters_of_warnings_alone(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    small = stored(tmp_path, PIXELS, "small.png")
    large = stored(tmp_path, np.tile(PIXELS, (2, 1, 1)), "large.png")  # 12 pixels

    def read(path):
        try:
            return read_photo(path).shape
        except ValueError as error:
            return "at most 9 pixels" in str(error)

    # They are the process's: a thread that puts them back may put back another's.
    before = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, [small, large] * 300))
    assert found == [(2, 3, 3), True] * 300
    assert warnings.filters == before
    monkeypatch.setattr(warnings, "catch_warnings", lambda: pytest.fail("in a thread"))
    assert read(large) is True


def test_a_photo_above_the_limit_is_refused_also_where_warnings_are_ignored(
    tmp_path, monkeypatch
):
    path = stored(tmp_path, PIXELS, "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for limit in (6, None):
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
            np.testing.assert_array_equal(read_photo(path), PIXELS)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
        with pytest.raises(
            ValueError, match=r"at most 5 pixels; received photo=.*a.png"
        ):
            read_photo(path)
