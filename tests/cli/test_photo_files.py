from pathlib import Path

import pytest

from keras_fpn.cli.errors import CommandError
from keras_fpn.cli.photo_files import (
    find_photos,
    picture_paths,
    sample_photo,
)


def test_a_folder_gives_its_image_files_sorted_and_a_file_is_taken_as_it_is(folder):
    photos = find_photos([folder / "notes.txt", folder])
    assert [p.name for p in photos] == ["notes.txt", "a.png", "b.jpg", "broken.JPG"]


def test_a_photo_named_twice_is_taken_once(folder):
    photos = find_photos([folder / "b.jpg", folder, folder / "below" / ".." / "b.jpg"])
    assert [p.name for p in photos] == ["b.jpg", "a.png", "broken.JPG"]


def test_missing_paths_and_folders_without_photos_are_refused(tmp_path):
    with pytest.raises(CommandError, match=r"received '.*gone', which does not exist"):
        find_photos([tmp_path / "gone"])
    with pytest.raises(CommandError, match=r"received '.*', with none that ends in"):
        find_photos([tmp_path])


def test_photos_of_one_name_get_different_pictures(tmp_path):
    photos = [Path(n) for n in ("x/a.jpg", "y/a.png", "z/A.webp", "a_2.jpg", "b.PNG")]
    names = [path.name for path in picture_paths(photos, tmp_path)]
    assert names == ["a.jpg", "a_2.png", "A_3.jpg", "a_2_2.jpg", "b.png"]


def test_a_picture_never_takes_the_place_of_a_photo(tmp_path):
    photo = tmp_path / "a.png"
    assert picture_paths([photo], tmp_path) == [tmp_path / "a_2.png"]
    assert picture_paths([photo], tmp_path / "out") == [tmp_path / "out" / "a.png"]


def test_the_sample_photo_is_small_and_its_origin_is_stated():
    assert sample_photo().stat().st_size < 150_000
    readme = (sample_photo().parent / "README.md").read_text()
    assert sample_photo().name in readme
    assert "CC0" in readme
