import concurrent.futures
import os
import pathlib
import warnings

import numpy as np
import pytest
from data.tiny_sets import write, write_photo
from PIL import Image

from keras_fpn.data import Objects, Photo
from keras_fpn.data.image_files import (
    PHOTO_SUFFIXES,
    Header,
    copy_photos,
    find_photos,
    image_ids,
    read_headers,
    relative_path,
)
from keras_fpn.preprocessing import photo, read_photo
from keras_fpn.preprocessing.photo import FORMATS, MOST_BYTES


@pytest.mark.parametrize("orientation", [None, *range(1, 10)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif"])
def test_headers_say_the_size_that_reading_gives(tmp_path, suffix, orientation):
    path = write_photo(tmp_path / f"a.{suffix}", 100, 80, orientation)
    (header,) = read_headers([path])
    assert header.size == read_photo(path).shape[:2]
    assert header.stored_size in (header.size, (80, 100))


def test_headers_come_in_order_with_what_is_wrong(tmp_path):
    paths = [write_photo(tmp_path / f"{i}.png", 10 + i, 5) for i in range(20)]
    paths[3] = tmp_path / "gone.png"
    paths[5].write_text("text")
    headers = read_headers(paths)
    assert headers[3] is None
    assert headers[5].startswith("A photo must be in one of the formats JPEG, PNG")
    widths = [header.width for i, header in enumerate(headers) if i not in (3, 5)]
    assert widths == [10 + i for i in range(20) if i not in (3, 5)]


def test_every_suffix_is_of_a_format_that_is_opened():
    Image.init()
    formats = {Image.registered_extensions()[suffix] for suffix in PHOTO_SUFFIXES}
    assert formats <= {*FORMATS, "MPO"}


def test_an_eps_file_named_as_a_photo_has_no_header(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 2\n\n")
    with Image.open(path) as image:
        assert image.size == (4, 2)  # Pillow alone takes it for a photo
    (header,) = read_headers([path])
    assert "formats JPEG, PNG" in header


def test_photos_are_found_in_all_folders_sorted(tmp_path):
    for name in ("b/2.jpg", "a/1.PNG", "0.webp", ".hidden.jpg"):
        write_photo(tmp_path / name)
    write(tmp_path / "a/x.txt", "")
    names = [path.relative_to(tmp_path).as_posix() for path in find_photos(tmp_path)]
    assert names == ["0.webp", "a/1.PNG", "b/2.jpg"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["000000000139.jpg", "a/7.jpg"], [139, 7]),
        (["7.jpg", "07.png"], [1, 2]),  # one number twice
        (["7.jpg", "b.jpg"], [1, 2]),
        (["5.jpg", "\u00b2.jpg"], [1, 2]),  # no ASCII digit
        (["2007_000032.jpg"], [1]),
        (["99999999999.jpg"], [1]),  # more than 31 bits
        ([], []),
    ],
)
def test_image_ids_are_the_names_if_these_are_numbers(names, expected):
    assert image_ids([pathlib.Path(name) for name in names]) == expected


def test_copies_get_different_names(tmp_path):
    paths = [
        write_photo(tmp_path / "x/a.jpg", 10),
        write_photo(tmp_path / "y/A.png", 20),
        write_photo(tmp_path / "out/b.jpg", 30),
    ]
    empty = Objects([], [], [])
    photos = [Photo(i + 4, path, 80, 9, empty) for i, path in enumerate(paths)]
    for _ in range(2):  # again: files are replaced, b.jpg is itself
        copies = copy_photos(photos, tmp_path / "out")
    assert [copy.name for copy in copies] == ["a_4.jpg", "A_5.png", "b.jpg"]
    assert [header.width for header in read_headers(copies)] == [10, 20, 30]


def test_paths_are_relative_with_slashes(tmp_path):
    assert relative_path(tmp_path / "a/b.jpg", tmp_path / "c") == "../a/b.jpg"
    assert relative_path(tmp_path / "b.jpg", tmp_path) == "b.jpg"


def test_headers_of_large_photos_are_cheap(tmp_path, monkeypatch):
    """Nothing is decoded: a PNG's pixels are not even unpacked."""
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(path)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert read_headers([path])[0].size == (50, 60)


def test_headers_read_in_many_threads_leave_the_filters_of_warnings_alone(tmp_path):
    paths = [write_photo(tmp_path / f"{i}.png") for i in range(3)]
    before = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sets = list(pool.map(read_headers, [paths] * 100))
    assert all(header.size for headers in sets for header in headers)
    assert warnings.filters == before


def jpeg(path, **options):
    Image.new("RGB", (40, 30), (90, 120, 30)).save(path, "JPEG", **options)
    return path.read_bytes()


def many_scans(path):
    """A progressive JPEG whose last scan is repeated."""
    content = jpeg(path, progressive=True)
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + content[last:-2] * 200 + content[-2:])


def many_scans_of_colors(path):
    """A JPEG that is not progressive: scans of one color each, without data."""
    content = jpeg(path)
    scans = [
        b"\xff\xda\0\x08\1" + bytes([color, tables, 0, 63, 0])
        for color, tables in ((1, 0), (2, 0x11), (3, 0x11))
    ]
    start = content.index(b"\xff\xda")
    path.write_bytes(content[:start] + b"".join(scans) * 70 + b"\xff\xd9")


def with_thumbnail(path):
    """A progressive JPEG with another in its EXIF, and FF DA 200 times behind it."""
    thumbnail = jpeg(path, progressive=True)
    content = jpeg(
        path, progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0" + thumbnail
    )
    path.write_bytes(content + b"\xff\xda\1" * 200)


def several_pictures(path):
    pictures = [Image.new("RGB", (40, 30), (shade, 120, 30)) for shade in (10, 20, 30)]
    pictures[0].save(path, "MPO", save_all=True, append_images=pictures[1:])


def sixteen_bits(path):
    Image.fromarray(np.full((30, 40), 40_000, np.uint16)).save(path, "TIFF")


def floats(path):
    Image.fromarray(np.ones((30, 40), np.float32)).save(path, "TIFF")


def damaged_exif(path):
    jpeg(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1\x12\0\3" * 4)


def text(path):
    path.write_text("no photo")


def sparse(path):
    with open(path, "wb") as file:
        file.write(b"RIFF\0\0\0\x80WEBPVP8 ")
        file.truncate(MOST_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "reads"),
    [
        (jpeg, True),
        (lambda path: jpeg(path, progressive=True), True),
        (damaged_exif, True),
        (with_thumbnail, True),
        (several_pictures, True),
        (many_scans, False),
        (many_scans_of_colors, False),
        (sixteen_bits, False),
        (floats, False),
        (text, False),
        (os.mkfifo, False),
        (sparse, False),
        (lambda path: path.symlink_to(path), False),
        (lambda path: path.symlink_to("/dev/zero"), False),
        (lambda path: path.mkdir(), False),
    ],
)
def test_what_is_checked_is_what_can_be_read(tmp_path, make, reads):
    path = tmp_path / "a.jpg"
    make(path)
    [header] = read_headers([path])
    assert (isinstance(header, Header) and header.unsupported is None) == reads
    if reads:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow's, of damaged EXIF
            assert read_photo(path).shape[:2] == header.size
    else:
        with pytest.raises(ValueError, match=r"a\.jpg"):
            read_photo(path)


@pytest.mark.parametrize("make", [many_scans, many_scans_of_colors])
def test_scans_are_counted_and_named(tmp_path, make):
    make(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"at most 100 scans; .*jpg' with 2\d\d\. S"):
        read_photo(tmp_path / "a.jpg")


def test_a_usual_jpeg_is_not_read_whole_to_count_its_scans(tmp_path, monkeypatch):
    jpeg(tmp_path / "a.jpg")
    many_scans_of_colors(tmp_path / "b.jpg")
    monkeypatch.setattr(photo, "_count_scans", lambda image: 101)
    assert read_headers([tmp_path / "a.jpg"])[0].size == (30, 40)
    assert "with 101." in read_headers([tmp_path / "b.jpg"])[0]
