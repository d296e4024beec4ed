"""Data sets as users have them: each layout goes through the commands as it is."""

import functools
import json
import re

import numpy as np
import pytest
from cli import calling
from data import tiny_layouts
from data.tiny_layouts import BOX, LAYOUTS, SPLITS, coco, stem_of
from data.tiny_sets import voc_object, write, write_photo, write_voc_photo
from models.tiny import tiny_detector

import keras_fpn
from keras_fpn.cli import finetune

called = functools.partial(calling.called, "finetune")
checked = functools.partial(calling.called, "data", "check")


@pytest.fixture(scope="module")
def source():
    return tiny_detector(2, class_names=["cat", "dog"])


@pytest.fixture(autouse=True)
def prepared(monkeypatch, source):
    """The data sets with which a command calls `run_training`: train, validation."""
    got = []

    def train(plan, dataset, validation, *_):
        got[:] = dataset, validation
        return 0

    monkeypatch.setattr(finetune, "load_detector", lambda *_: (source, None))
    monkeypatch.setattr(finetune, "run_training", train)
    return got


def stems(dataset):
    return "".join(sorted(stem_of(photo.path) for photo in dataset.photos))


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_every_layout_is_fine_tuned_on_as_it_is(tmp_path, prepared, make):
    root, (trained, measured) = make(tmp_path), LAYOUTS[make]
    code, _, err = called(root)
    assert (code, "error" in err) == (0, False), err
    train, val = prepared
    if measured is None:  # they are held out
        assert (len(train), len(val)) == (trained - 1, 1)
        assert sorted(stems(train) + stems(val)) == list("abcde")
        assert "held-out photos choose the best checkpoint" in err
    else:
        assert (stems(train), stems(val)) == ("abc", "de")
        assert "held-out" not in err
    assert train.class_names == val.class_names
    for photo in (*train.photos, *val.photos):
        np.testing.assert_allclose(photo.objects.boxes, [BOX], atol=1e-4)
        assert [train.class_names[i] for i in photo.objects.labels] == ["cat"]
    assert len({photo.image_id for photo in train.photos}) == len(train)


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_every_split_that_is_trained_or_measured_on_is_checked(tmp_path, make):
    code, out, err = checked(make(tmp_path))
    assert (code, err) == (0, "")
    trained, measured = LAYOUTS[make]
    assert f"{trained} photos, {trained} objects" in out
    assert (f"{measured} photos, {measured} objects" in out) == (measured is not None)
    assert out.count("No defects.") in ((1, 2) if measured is None else (2, 3))


def test_a_defect_in_any_split_is_found(tmp_path):
    root = tiny_layouts.roboflow_coco(tmp_path)
    next((root / "valid").glob("*.jpg")).unlink()
    code, out, _ = checked(root)
    assert code == 1
    assert out.count("No defects.") == 2
    assert out.count("Defects:\n  1 photo: the file is missing; left out") == 1
    code, out, err = checked(root, "--split", "test")
    assert (code, out.count("No defects.")) == (0, 1)
    write(root / "test/_annotations.coco.json", '{"images": [')
    code, out, err = checked(root)
    assert code == 2
    assert "must be complete JSON" in err
    assert out.count("No defects.") == out.count("Defects:") == 1  # of the others


def test_splits_have_their_folders_as_names(tmp_path):
    root = tiny_layouts.roboflow_coco(tmp_path / "pets")
    out = called(root)[1]
    assert out.startswith("Photos to train on: 3 (pets/train); to validate on: 2 (pets")
    assert "pets/test: COCO, " in checked(root)[1]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "VAL", "val2017"])
def test_a_split_to_measure_on_may_have_several_names(tmp_path, prepared, name):
    root = tiny_layouts.roboflow_voc(tmp_path)
    (root / "valid").rename(root / name)
    assert called(root)[0] == 0
    assert stems(prepared[1]) == "de"
    file = tiny_layouts.coco_annotations(tmp_path / "coco")
    for folder in ("", "annotations/instances_"):
        suffix = ".json" if folder else ""
        old = file / f"{folder}valid{suffix}"
        old.rename(file / f"{folder}{name}{suffix}")
    assert called(file)[0] == 0
    assert stems(prepared[1]) == "de"


def test_the_split_to_train_on_may_be_spelled_as_it_is(tmp_path, prepared):
    root = tiny_layouts.labelme_folders(tmp_path)
    for split in ("train", "training"):
        assert called(root, "--split", split)[0] == 0
        assert (stems(prepared[0]), stems(prepared[1])) == ("abc", "de")
    assert called(root, "--split", "validation")[0] == 0
    assert sorted(stems(prepared[0]) + stems(prepared[1])) == ["d", "e"]


def refused(*argv, command=called):
    code, _, err = command(*argv)
    assert code == 2
    assert re.match(r"keras-fpn( \w+)*: error: ", err)
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("make", ["files", "folders", "lists", "yolo"])
def test_other_splits_are_never_silently_held_out_from(tmp_path, prepared, make):
    def photo(stem):
        return write_photo(tmp_path / f"{stem}.jpg")

    if make == "files":
        for split, stem in {"train": "abc", "minival": "de"}.items():
            names = [photo(one).name for one in stem]
            write(tmp_path / f"{split}.json", coco(names))
    elif make == "folders":
        (tiny_layouts.roboflow_voc(tmp_path) / "valid").rename(tmp_path / "minival")
    elif make == "lists":
        for split, stem in {"train": "abc", "minival": "de"}.items():
            for one in stem:
                write_voc_photo(tmp_path, one, [voc_object((11, 21, 40, 60))])
            write(tmp_path / f"ImageSets/Main/{split}.txt", "\n".join(stem))
    else:
        for split, stem in {"train": "abc", "minival": "de"}.items():
            for one in stem:
                write_photo(tmp_path / f"images/{split}/{one}.jpg")
                write(tmp_path / f"labels/{split}/{one}.txt", tiny_layouts.YOLO)
        write(tmp_path / "classes.txt", "cat\n")
    error = refused(tmp_path)
    assert "must be called val, valid or validation; received" in error
    assert "train, " in error
    assert "minival. Pass --val-split NAME, or --split train to hold out" in error
    assert called(tmp_path, "--val-split", "minival")[0] == 0
    assert (stems(prepared[0]), stems(prepared[1])) == ("abc", "de")
    assert called(tmp_path, "--split", "train")[0] == 0
    assert (len(prepared[0]), len(prepared[1])) == (2, 1)
    out = checked(tmp_path)[1]
    assert out.count("No defects.") == (3 if make == "folders" else 2)


def test_a_set_without_train_is_asked_about(tmp_path):
    root = tiny_layouts.roboflow_voc(tmp_path)
    (root / "train").rename(root / "first")
    error = refused(root)
    assert "must be called train; received" in error
    assert "val, test, first. Pass --split NAME" in error


def test_near_misses_are_suggested(tmp_path):
    root = tiny_layouts.roboflow_coco(tmp_path / "download/pets")
    for path, meant in {
        root / "trian": root / "train",
        tmp_path: root,
        tmp_path / "download": root,
        root / "train" / "nothing.md": root / "train",
    }.items():
        if path.suffix:
            write(path, "")
        for command in (called, checked):
            error = refused(path, command=command)
            assert error.endswith(f" Did you mean {meant}?\n")
    assert "Did you mean 'val'?" in refused(root, "--split", "vall", command=checked)


def test_the_photos_to_train_on_are_looked_at(tmp_path, source, monkeypatch):
    monkeypatch.setattr(keras_fpn, "from_preset", lambda *_, **__: source)
    root = tiny_layouts.roboflow_coco(tmp_path)
    look = functools.partial(calling.called, "data", "look", "--output", tmp_path / "o")
    code, out, _ = look(root)
    assert code == 0
    assert "/train: COCO" in out
    assert "valid" not in out
    names = sorted(path.name[0] for path in (tmp_path / "o").glob("*.rf.*"))
    assert names == list("abc")


def test_classes_are_those_of_both_parts(tmp_path, prepared):
    root = tiny_layouts.roboflow_voc(tmp_path)
    for split, name in {"train": "ant", "valid": "bee"}.items():
        file = next((root / split).glob("*.xml"))
        file.write_text(file.read_text().replace("<name>cat", f"<name>{name}"))
    code, _, err = called(root)
    assert code == 0
    told = "Only the data to measure on have these classes, which cannot be learned: "
    assert f"{told}bee.\n" in err
    train, val = prepared
    assert train.class_names == val.class_names == ("ant", "cat", "bee")
    assert train.category_ids == (1, 2, 3)
    shown = [val.class_names[i] for p in val.photos for i in p.objects.labels]
    assert sorted(shown) == ["bee", "cat"]


def two_classes(folder):
    root = tiny_layouts.roboflow_coco(folder)
    for split in SPLITS:
        file = root / split / "_annotations.coco.json"
        contents = json.loads(file.read_text())
        contents["categories"].append({"id": 2, "name": "dog"})
        contents["annotations"].append(
            {"id": 99, "image_id": 0, "category_id": 2, "bbox": [1, 2, 30, 40]}
        )
        file.write_text(json.dumps(contents))
    return root


@pytest.mark.parametrize("form", ["names", "file", "numbered"])
def test_classes_can_be_chosen_and_ordered(tmp_path, prepared, form):
    root = two_classes(tmp_path)
    assert called(root)[0] == 0
    assert prepared[0].class_names == ("cat", "dog")
    classes = {
        "names": "dog, cat",
        "file": write(tmp_path / "names.txt", "dog\ncat\n"),
        "numbered": write(tmp_path / "c.csv", "cat,1\ndog,0\n"),
    }[form]
    assert called(root, "--classes", classes)[0] == 0
    for part in prepared:
        assert part.class_names == ("dog", "cat")
        assert part.category_ids == (2, 1)
        (first,) = (p for p in part.photos if len(p.objects) == 2)
        assert first.objects.labels.tolist() == [1, 0]
        assert first.objects.boxes.tolist() == [[10, 20, 40, 60], [1, 2, 31, 42]]
    assert called(root, "--classes", "dog")[0] == 0
    assert [len(p.objects) for p in prepared[1].photos] == [1, 0]


def test_classes_name_those_of_yolo_files_without_names(tmp_path, prepared):
    root = tiny_layouts.label_studio(tmp_path)
    (root / "classes.txt").unlink()
    assert "must name its classes" in refused(root)
    assert called(root, "--classes", "emu")[0] == 0
    assert prepared[0].class_names == prepared[1].class_names == ("emu",)
    code, out, _ = checked(root, "--classes", "emu")
    assert code == 0
    assert "emu" in out


def test_classes_that_nobody_has_are_refused(tmp_path):
    root = two_classes(tmp_path)
    error = refused(root, "--classes", "dog,yak")
    assert "--classes must be classes of the data; received yak;" in error
    assert "the data have cat, dog." in error
    for wrong in ("dog,dog", ",", "absent.txt"):
        assert "--classes: " in refused(root, "--classes", wrong)


def test_copies_of_a_photo_are_held_out_together(tmp_path, prepared):
    names = [f"{stem}_jpg.rf.{i}a{i}b.jpg" for stem in "abcdef" for i in range(3)]
    for name in names:
        write_photo(tmp_path / name)
    write(tmp_path / "_annotations.coco.json", coco(names))
    assert called(tmp_path)[0] == 0
    parts = [{stem_of(photo.path) for photo in part.photos} for part in prepared]
    assert parts[0].isdisjoint(parts[1])
    assert len(prepared[1]) == 6  # 4 would do; they are whole groups of 3
