import types

import pytest
from PIL import Image

import keras_fpn
from keras_fpn.cli.errors import CommandError
from keras_fpn.cli.input_photos import (
    InputPhotos,
    input_photos,
    sample_photo,
    unsuited_sample,
)


def names(named, **options):
    """The file names of the photos, and what was skipped."""
    with input_photos(named, **options) as found:
        return [path.name for path in found.paths], dict(found.skipped)


def test_a_folder_gives_its_image_files_sorted_and_a_file_is_taken_as_it_is(folder):
    photos, _ = names([folder / "notes.txt", folder])
    assert photos == ["notes.txt", "a.png", "b.jpg", "broken.JPG"]


def test_a_photo_named_twice_is_taken_once(folder):
    photos, _ = names([folder / "b.jpg", folder, folder / "below" / ".." / "b.jpg"])
    assert photos == ["b.jpg", "a.png", "broken.JPG"]


def test_what_a_folder_holds_beside_photos_is_counted(folder):
    for name in ("one.heic", "two.HEIC", "README", ".DS_Store"):
        (folder / name).write_bytes(b"")
    (folder / ".hidden").mkdir()
    _, skipped = names([folder])
    assert skipped == {".heic": 2, ".txt": 1, "folder": 1, "without a suffix": 1}


def test_a_folders_tree_is_taken_without_hidden_folders_and_the_output(folder):
    for name in (".hidden", "below/deeper", "out"):
        (folder / name).mkdir()
        Image.new("RGB", (9, 9)).save(folder / name / "e.jpg")
    photos, skipped = names([folder], recursive=True, without=folder / "out")
    assert photos == ["a.png", "b.jpg", "broken.JPG", "d.jpg", "e.jpg"]
    assert skipped == {".txt": 1}


def test_links_in_a_circle_end(folder):
    (folder / "below" / "again").symlink_to(folder, target_is_directory=True)
    photos, _ = names([folder], recursive=True)
    assert photos == ["a.png", "b.jpg", "broken.JPG", "d.jpg"]


def test_missing_paths_and_folders_without_photos_are_refused(tmp_path):
    with pytest.raises(CommandError, match=r"received '.*gone', which does not exist"):
        names([tmp_path / "gone"])
    with pytest.raises(CommandError, match=r"\.webp; .* '.*', which holds nothing\.$"):
        names([tmp_path])
    (tmp_path / "below").mkdir()
    (tmp_path / "a.heic").touch()
    with pytest.raises(
        CommandError, match=r"holds 1 folder, 1 \.heic \(--recursive ta"
    ):
        names([tmp_path])


@pytest.mark.parametrize(
    ("skipped", "text"),
    [
        ({}, ""),
        ({".heic": 3}, "skipped: 3 .heic"),
        (
            {".heic": 3, "folder": 2},
            "skipped: 3 .heic, 2 folders (--recursive takes folders)",
        ),
        ({".a": 5, ".b": 4, ".c": 3, ".d": 1}, "skipped: 5 .a, 4 .b, 3 .c, 1 other"),
        (
            {".a": 9, ".b": 9, ".c": 9, ".d": 1, "folder": 1},
            "skipped: 9 .a, 9 .b, 9 .c, 2 others (--recursive takes folders)",
        ),
    ],
)
def test_what_was_skipped_is_a_short_text(skipped, text):
    found = InputPhotos()
    found.skipped.update(skipped)
    assert found.skipped_text() == text


def test_the_sample_photo_is_small_and_its_origin_is_stated():
    assert sample_photo().stat().st_size < 150_000
    readme = (sample_photo().parent / "README.md").read_text()
    assert sample_photo().name in readme
    assert "CC0" in readme


def test_a_detector_of_nothing_in_the_sample_photo_is_known():
    presets = keras_fpn.list_presets()

    def remark(preset):
        names = presets[preset].checkpoint.class_names  # None of the RPN's
        model = model_of(names or ["object"], agnostic=names is None)
        return unsuited_sample(sample_photo(preset), model)

    unsuited = [name for name in presets if remark(name)]
    assert sorted(unsuited) == [
        "faster_rcnn_resnet18_fpn_bccd",
        "keypoint_rcnn_resnet50_fpn_coco",
        "keypoint_rcnn_resnet50_fpn_detectron2_1x",
        "keypoint_rcnn_resnet50_fpn_detectron2_3x",
        "mask_rcnn_resnet18_fpn_nuclei",
    ]
    assert "knows (Platelets, RBC, WBC): " in remark("faster_rcnn_resnet18_fpn_bccd")


def test_a_remark_lists_the_first_classes():
    names = [f"c{number}" for number in range(6)]
    assert "(c0, c1, c2, c3, c4, ...)" in unsuited_sample(
        sample_photo(), model_of(names)
    )
    assert "(c0, c1, c2, c3, c4): " in unsuited_sample(
        sample_photo(), model_of(names[:5])
    )
    assert unsuited_sample(sample_photo(), model_of([*names, "cup"])) == ""
    assert unsuited_sample(sample_photo(), model_of(["object"], agnostic=True)) == ""
    scene = sample_photo("faster_rcnn_resnet18_fpn_scenes")
    assert unsuited_sample(scene, model_of(["disk"])) == ""


def model_of(names, agnostic=False):
    return types.SimpleNamespace(class_names=names, class_agnostic=agnostic)
