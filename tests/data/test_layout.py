"""What a path holds: which data sets, which splits, and which of them is meant."""

import pytest
from data import tiny_layouts
from data.test_open_dataset import coco, label_images
from data.tiny_sets import (
    read,
    voc_object,
    write,
    write_photo,
    write_voc_photo,
    write_yolo_set,
)

from keras_fpn.data import open_dataset
from keras_fpn.data.open_dataset import other_splits, reader_selects, splits_of


@pytest.mark.parametrize(
    ("make", "splits"),
    [
        (tiny_layouts.roboflow_coco, ["train", "val", "test"]),
        (tiny_layouts.roboflow_voc, ["train", "val", "test"]),
        (tiny_layouts.csv_files, ["train", "val", "test"]),
        (tiny_layouts.csv_folders, ["train", "val", "test"]),
        (tiny_layouts.vocdevkit, ["train", "trainval", "val", "test"]),
        (tiny_layouts.coco_annotations, ["train", "val", "test"]),
        (tiny_layouts.labelme_folders, ["train", "val"]),
        (tiny_layouts.labelme_one, []),
        (tiny_layouts.cvat_project, ["train", "val", "test"]),
        (tiny_layouts.cvat_task, []),
        (tiny_layouts.label_studio, []),
        (tiny_layouts.tensorflow, ["train", "test"]),
        (tiny_layouts.fizyr, ["train", "val"]),
        (tiny_layouts.yolo_elsewhere, ["train", "val"]),
    ],
)
def test_every_split_of_a_layout_is_opened_by_its_name(tmp_path, make, splits):
    root = make(tmp_path)
    assert splits_of(root) == splits
    counts = {"train": "abc", "trainval": "abcde", "val": "de", "test": "f"}
    for split in splits:
        dataset, report = read(open_dataset, root, split=split)
        assert len(dataset) in (len(counts[split]), 5)
        assert report.defects == {}
    if not splits:
        assert len(read(open_dataset, root)[0]) == 5


def test_names_of_other_splits_are_known(tmp_path):
    root = tiny_layouts.roboflow_coco(tmp_path)
    assert other_splits(root) == []
    (root / "valid").rename(root / "minival")
    assert (splits_of(root), other_splits(root)) == (["train", "test"], ["minival"])
    assert len(read(open_dataset, root, split="minival")[0]) == 2
    (root / "minival").rename(root / ".hidden")
    write(root / "notes/words.txt", "none of a data set")
    assert other_splits(root) == []
    assert other_splits(coco(tmp_path / "one")) == []


def test_without_a_usual_one_lists_and_folders_are_of_any_kind(tmp_path):
    for name in "ab":
        write_voc_photo(tmp_path / "voc", name, [voc_object((11, 21, 40, 60))])
        write(tmp_path / f"voc/ImageSets/Main/{name}.txt", name)
        write_yolo_set(tmp_path / "yolo", {name: tiny_layouts.YOLO}, split=name)
    (tmp_path / "yolo/data.yaml").unlink()
    write(tmp_path / "yolo/classes.txt", "cat\n")
    for root in (tmp_path / "voc", tmp_path / "yolo"):
        assert splits_of(root) == other_splits(root) == []
        assert len(read(open_dataset, root)[0]) == 2
        assert len(read(open_dataset, root, split="b")[0]) == 1


def test_what_is_in_the_folder_itself_comes_before_folders_of_splits(tmp_path):
    root = tiny_layouts.roboflow_voc(tmp_path)
    assert splits_of(root) == ["train", "val", "test"]
    write_yolo_set(root, {"a": tiny_layouts.YOLO})
    assert splits_of(root) == ["train"]
    assert read(open_dataset, root)[1].source.startswith("YOLO")


def test_a_data_set_with_a_single_split_needs_no_name(tmp_path):
    root = tiny_layouts.labelme_folders(tmp_path / "pets")
    (root / "validation").rename(tmp_path / "else")
    dataset, report = read(open_dataset, root)
    assert (len(dataset), dataset.name, report.name) == (3, *["pets/training"] * 2)
    assert open_dataset(root, report=None).name == "pets/training"


def test_several_splits_need_a_name(tmp_path):
    root = tiny_layouts.roboflow_coco(tmp_path)
    with pytest.raises(
        ValueError, match=r"coco: .*valid.*Its splits: train, val, test"
    ):
        open_dataset(root)
    with pytest.raises(ValueError, match=r"split='tets', .*Did you mean 'test'\?"):
        open_dataset(root, split="tets")


def test_what_has_no_splits_is_not_read_for_one(tmp_path):
    for root in (
        label_images(tmp_path / "labels"),
        tiny_layouts.labelme_one(tmp_path / "labelme"),
    ):
        with pytest.raises(ValueError, match=r"one split; received split='val'"):
            open_dataset(root, split="val")


def test_files_of_other_tools_are_no_data_sets(tmp_path):
    root = tiny_layouts.label_studio(tmp_path)  # with notes.json
    assert read(open_dataset, root)[1].source.startswith("YOLO")
    root = write_voc_photo(tmp_path / "voc", "a")
    write(root / "scores.json", '{"annotations": 3, "categories": 2}')
    write(root / "table.csv", "a,b\n1,2\n")
    write(root / "compose.yaml", "services:\n  web: x\n")
    (root / "gone.json").symlink_to(root / "nowhere")
    dataset, _ = read(open_dataset, root, class_names=["cat"])
    assert len(dataset) == 1


def test_of_cocos_own_files_the_instances_are_read(tmp_path):
    root = tiny_layouts.coco_annotations(tmp_path)
    for kind in ("captions", "person_keypoints"):
        for split in ("train", "valid"):
            text = (root / f"annotations/instances_{split}.json").read_text()
            write(root / f"annotations/{kind}_{split}.json", text)
    assert open_dataset(root, split="val", report=None).name == "instances_valid"
    # Alone it is a data set like any other.
    (root / "annotations/instances_train.json").unlink()
    (root / "annotations/captions_train.json").unlink()
    dataset = open_dataset(root, split="train", report=None)
    assert dataset.name == "person_keypoints_train"


def test_which_readers_must_select_classes_is_known(tmp_path):
    root = tiny_layouts.label_studio(tmp_path / "yolo")
    assert not reader_selects(root)
    (root / "classes.txt").unlink()
    assert reader_selects(root)
    assert reader_selects(label_images(tmp_path / "labels"))
    assert not reader_selects(tiny_layouts.roboflow_coco(tmp_path / "coco"), "train")


def test_data_sets_near_a_wrong_path_are_suggested(tmp_path, monkeypatch):
    root = tiny_layouts.roboflow_coco(tmp_path / "a/pets")
    with pytest.raises(ValueError, match=rf"Did you mean {root}\?"):
        open_dataset(tmp_path)
    with pytest.raises(ValueError, match=rf"Did you mean {root}/valid\?"):
        open_dataset(root / "vaild")
    words = write(root / "train/words.md", "")
    with pytest.raises(ValueError, match=rf"Did you mean {root}/train\?"):
        open_dataset(words)
    voc = write_voc_photo(tmp_path / "voc", "a")
    with pytest.raises(ValueError, match=rf"Did you mean {voc}\?"):
        open_dataset(voc / "Annotations/a.xml")
    for part in ("Annotations", "JPEGImages"):
        with pytest.raises(
            ValueError, match=rf"{part}', a folder .* Did you mean {voc}\?"
        ):
            open_dataset(voc / part)
    monkeypatch.chdir(voc / "Annotations")
    with pytest.raises(ValueError, match=rf"Did you mean {voc}\?"):
        open_dataset(".")
    empty = tmp_path / "b"
    write_photo(empty / "photos/a.jpg")
    with pytest.raises(ValueError, match=r"holds none of them\.$"):
        open_dataset(empty)
    with pytest.raises(ValueError, match=r"does not exist\.$"):
        open_dataset(empty / "nothing/alike")
