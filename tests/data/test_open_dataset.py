import json

import numpy as np
import pytest
from data.tiny_sets import (
    boxes,
    coco_contents,
    read,
    voc_object,
    write,
    write_coco_set,
    write_photo,
    write_voc_photo,
    write_yolo_set,
)
from PIL import Image

from keras_fpn.data import open_dataset

CORNERS = [[10, 20, 40, 60]]
COCO = {"bbox": [10, 20, 30, 40]}
YOLO = "0 0.25 0.5 0.3 0.5\n"


def coco(folder):
    return write_coco_set(folder, [COCO])


def voc(folder):
    write_voc_photo(folder, "a", [voc_object((11, 21, 40, 60))])
    return write(folder / "ImageSets/Main/train.txt", "a\n")


def yolo(folder):
    return write_yolo_set(folder, {"a": YOLO})


def csv(folder):
    write_photo(folder / "a.jpg")
    return write(folder / "boxes.csv", "a.jpg,10,20,40,60,cat\n")


def label_images(folder):
    write_photo(folder / "images/a.jpg")
    labels = np.zeros((80, 100), np.uint8)
    labels[20:60, 10:40] = 1
    (folder / "labels").mkdir()
    Image.fromarray(labels).save(folder / "labels/a.png")
    return folder


MAKERS = [coco, voc, yolo, csv, label_images]


@pytest.mark.parametrize("make", MAKERS)
def test_every_form_is_recognised_by_file_and_by_folder(tmp_path, make):
    file = make(tmp_path)
    for path in (file, tmp_path, str(tmp_path)):
        dataset, report = read(open_dataset, path)
        np.testing.assert_allclose(boxes(dataset), CORNERS, atol=1e-4)
        assert dataset.class_names[0] in ("cat", "object")
        assert report.counts == {}


@pytest.mark.parametrize("make", [coco, voc, yolo, csv])
def test_class_names_and_strictness_reach_every_reader(tmp_path, make):
    path = make(tmp_path)
    dataset, _ = read(open_dataset, path, class_names=["cat"], strict=True)
    assert dataset.class_names == ("cat",)
    for photo in tmp_path.rglob("a.jpg"):
        photo.unlink()
    # b.jpg is left in the first form, and not annotated; YOLO sees no photo at all.
    with pytest.raises(ValueError, match=r"the file is missing|lists none"):
        open_dataset(path, strict=True, report=None)


def test_the_class_of_label_images_can_be_named(tmp_path):
    dataset, _ = read(open_dataset, label_images(tmp_path), class_names=["cell"])
    assert dataset.class_names == ("cell",)


def test_a_split_chooses_a_file_or_is_passed_on(tmp_path):
    for name in ("train2017", "val", "trainval"):
        write(
            tmp_path / f"coco/annotations/instances_{name}.json",
            json.dumps(coco_contents([COCO], [{"id": 7, "file_name": "a.jpg"}])),
        )
    write_photo(tmp_path / "coco/annotations/a.jpg")
    dataset, _ = read(open_dataset, tmp_path / "coco", split="train")
    assert dataset.name == "instances_train2017"
    with pytest.raises(ValueError, match=r"split='dev', .*coco: .*instances_val\.json"):
        open_dataset(tmp_path / "coco", split="dev")
    voc(tmp_path / "voc")
    assert len(read(open_dataset, tmp_path / "voc", split="train")[0]) == 1
    with pytest.raises(ValueError, match=r"split='val', .*\['train'\]"):
        open_dataset(tmp_path / "voc", split="val")
    yolo(tmp_path / "yolo")
    assert len(read(open_dataset, tmp_path / "yolo", split="train")[0]) == 1
    path = csv(tmp_path / "csv")
    with pytest.raises(ValueError, match=r"one split; .*split='val', .*boxes\.csv"):
        open_dataset(path, split="val")


def test_several_data_sets_in_a_folder_are_named(tmp_path):
    coco(tmp_path)
    csv(tmp_path)
    with pytest.raises(ValueError, match=r"coco: .*set\.json', 'csv: .*boxes\.csv"):
        open_dataset(tmp_path)


def test_other_files_in_a_folder_do_not_confuse(tmp_path):
    coco(tmp_path)
    write(tmp_path / "credits.csv", "photo,author\na.jpg,somebody\n")
    write(tmp_path / "settings.json", '{"rate": 0.1}')
    write(tmp_path / "list.json", '["images"]')
    write(tmp_path / "README.txt", "words")
    assert len(read(open_dataset, tmp_path)[0]) == 2


def test_a_long_file_is_recognised_by_its_end(tmp_path):
    contents = {"info": "x" * 200_000, **coco_contents([COCO])}
    coco(tmp_path).write_text(json.dumps(contents))
    assert len(read(open_dataset, tmp_path)[0]) == 2


def test_photos_elsewhere_can_be_named(tmp_path):
    path = write(tmp_path / "a/set.json", json.dumps(coco_contents([COCO])))
    for name in ("a.jpg", "b.jpg"):
        write_photo(tmp_path / f"b/{name}")
    assert len(read(open_dataset, path, images=tmp_path / "b")[0]) == 2
    voc(tmp_path / "voc")
    with pytest.raises(ValueError, match=r"received images='.*b', path='.*voc'"):
        open_dataset(tmp_path / "voc", images=tmp_path / "b")


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must exist; received '.*nowhere', which"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"a COCO \.json; .*holds none of them"):
        open_dataset(tmp_path)
    path = write_photo(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a COCO \.json; .*received path='.*a\.jpg'"):
        open_dataset(path)
