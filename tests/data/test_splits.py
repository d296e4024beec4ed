import pytest
from data.tiny_sets import (
    voc_object,
    write,
    write_coco_set,
    write_voc_photo,
    write_yolo_set,
)

from keras_fpn.data import open_dataset
from keras_fpn.data.open_dataset import splits_of

BOX = {"bbox": [10, 20, 30, 40]}


def test_voc_has_the_lists_of_usual_names(tmp_path):
    write_voc_photo(tmp_path, "a", [voc_object((11, 21, 40, 60))])
    for name in ("val", "train", "trainval", "cat_train"):
        write(tmp_path / f"ImageSets/Main/{name}.txt", "a\n")
    assert splits_of(tmp_path) == ["train", "trainval", "val"]
    assert splits_of(tmp_path / "ImageSets/Main/train.txt") == []


def test_yolo_has_what_its_yaml_states(tmp_path):
    names = "names: [cat, dog]\nval: images/val\n"
    yaml = write_yolo_set(tmp_path, {"a": "0 0.25 0.5 0.3 0.5\n"}, names)
    assert splits_of(yaml) == splits_of(tmp_path) == ["train", "val"]


@pytest.mark.parametrize("folder", ["images/valid", "val/images"])
def test_yolo_without_a_yaml_has_the_folders_that_are_there(tmp_path, folder):
    write_yolo_set(tmp_path, {"a": "0 0.25 0.5 0.3 0.5\n"})
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / "classes.txt", "cat\ndog\n")
    (tmp_path / folder).mkdir(parents=True)
    assert splits_of(tmp_path) == ["train", "val"]


def test_files_have_their_split_in_their_names(tmp_path):
    file = write_coco_set(tmp_path, [BOX])
    assert splits_of(tmp_path) == splits_of(file) == []
    for name in ("instances_train2017", "instances_val2017"):
        (tmp_path / f"{name}.json").write_bytes(file.read_bytes())
    file.unlink()
    assert splits_of(tmp_path) == ["train", "val"]
    for split in splits_of(tmp_path):
        dataset = open_dataset(tmp_path, split=split, report=None)
        assert split in dataset.name


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds none of them"):
        splits_of(tmp_path)
    with pytest.raises(ValueError, match="absent', which does not exist"):
        splits_of(tmp_path / "absent")
