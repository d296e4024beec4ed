import pytest

from keras_fpn.cli.errors import CommandError
from keras_fpn.cli.input_photos import photos_named, sample_photo


def test_a_folder_gives_its_image_files_sorted_and_a_file_is_taken_as_it_is(folder):
    photos = photos_named([folder / "notes.txt", folder])
    assert [p.name for p in photos] == ["notes.txt", "a.png", "b.jpg", "broken.JPG"]


def test_a_photo_named_twice_is_taken_once(folder):
    photos = photos_named([folder / "b.jpg", folder, folder / "below" / ".." / "b.jpg"])
    assert [p.name for p in photos] == ["b.jpg", "a.png", "broken.JPG"]


def test_missing_paths_and_folders_without_photos_are_refused(tmp_path):
    with pytest.raises(CommandError, match=r"received '.*gone', which does not exist"):
        photos_named([tmp_path / "gone"])
    with pytest.raises(CommandError, match=r"received '.*', where no file ends in"):
        photos_named([tmp_path])


def test_the_sample_photo_is_small_and_its_origin_is_stated():
    assert sample_photo().stat().st_size < 150_000
    readme = (sample_photo().parent / "README.md").read_text()
    assert sample_photo().name in readme
    assert "CC0" in readme
