import os
from pathlib import Path

from PIL import Image

from keras_fpn.report.pictures import picture_paths, save_picture


def test_photos_of_one_name_get_different_pictures(tmp_path):
    photos = [Path(n) for n in ("x/a.jpg", "y/a.png", "z/A.webp", "a_2.jpg", "b.PNG")]
    names = [path.name for path in picture_paths(photos, tmp_path)]
    assert names == ["a.jpg", "a_2.png", "A_3.jpg", "a_2_2.jpg", "b.png"]


def test_a_picture_never_overwrites_a_photo(tmp_path):
    photo = tmp_path / "a.png"
    photo.touch()
    assert picture_paths([photo], tmp_path) == [tmp_path / "a_2.png"]
    # Another spelling of the same file, as where letters of either case are the same.
    os.link(photo, tmp_path / "A.PNG")
    assert picture_paths([tmp_path / "A.PNG"], tmp_path) == [tmp_path / "A.png"]
    os.link(photo, tmp_path / "A.png")
    assert picture_paths([tmp_path / "A.PNG"], tmp_path) == [tmp_path / "A_2.png"]
    assert picture_paths([photo], tmp_path / "out") == [tmp_path / "out" / "a.png"]


def test_a_picture_is_saved_in_the_format_of_its_name(tmp_path):
    for suffix, form in ((".jpg", "JPEG"), (".png", "PNG")):
        path = save_picture(Image.new("RGB", (4, 3)), tmp_path / f"a{suffix}")
        with Image.open(path) as picture:
            assert (path.name, picture.format) == (f"a{suffix}", form)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_picture_too_long_for_jpeg_is_a_png(tmp_path):
    path = save_picture(Image.new("RGB", (65501, 2)), tmp_path / "long.jpg")
    assert path == tmp_path / "long.png"
    assert path.is_file()
