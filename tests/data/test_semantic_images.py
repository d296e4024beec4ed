import numpy as np
import pytest
from data.tiny_sets import read, write, write_photo
from PIL import Image

from keras_fpn.data import load_sample, open_dataset, read_semantic_images
from keras_fpn.data.open_dataset import splits_of

SIZE = 80, 100
NAMES = "sky\nroad\n"


def values():
    labels = np.zeros(SIZE, np.uint8)
    labels[40:], labels[0, 0] = 1, 255
    return labels


def write_set(folder, name="a", labels=None, split=""):
    write(folder / "classes.txt", NAMES)
    write_photo(folder / "images" / split / f"{name}.jpg")
    path = folder / "semantic" / split / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values() if labels is None else labels).save(path)
    return folder


def test_values_are_classes(tmp_path):
    dataset, report = read(open_dataset, write_set(tmp_path))
    assert report.counts == {}
    assert (dataset.class_names, dataset.category_ids) == (("sky", "road"), (0, 1))
    assert dataset.semantic_names == ("sky", "road")
    assert (dataset.stuff_names, dataset.has_semantic) == ((), True)
    assert "1 photo with semantic labels" in str(report)
    assert "no objects of" not in str(report)
    sample = load_sample(dataset[0], semantic=True)
    np.testing.assert_array_equal(sample["semantic_map"], values())
    assert len(sample["boxes"]) == 0


def test_class_names_choose_classes_by_name(tmp_path):
    dataset, _ = read(open_dataset, write_set(tmp_path), class_names=["road", "sky"])
    assert (dataset.class_names, dataset.category_ids) == (("road", "sky"), (1, 0))
    expected = np.where(values() == 255, 255, 1 - values().astype(int))
    labels = dataset[0].pixel_labels.semantic_map(SIZE)
    np.testing.assert_array_equal(labels, expected)
    dataset, _ = read(open_dataset, tmp_path, class_names=["road"])
    labels = dataset[0].pixel_labels.semantic_map(SIZE)
    np.testing.assert_array_equal(labels, np.where(values() == 1, 0, 255))
    with pytest.raises(ValueError, match=r"received \['x'\], .* names \['sky', "):
        open_dataset(tmp_path, class_names=["sky", "x"])


def test_a_palette_does_not_change_the_values(tmp_path):
    write_set(tmp_path)
    image = Image.fromarray(values())
    image.putpalette([200, 10, 10] * 256)
    image.save(tmp_path / "semantic/a.png")
    dataset, _ = read(open_dataset, tmp_path)
    labels = dataset[0].pixel_labels.semantic_map(SIZE)
    np.testing.assert_array_equal(labels, values())


def test_splits_are_folders(tmp_path):
    write_set(tmp_path, "a", split="train")
    write_set(tmp_path, "b", split="val")
    assert splits_of(tmp_path) == ["train", "val"]
    dataset, _ = read(open_dataset, tmp_path, split="val")
    assert [photo.path.name for photo in dataset.photos] == ["b.jpg"]
    assert len(read(open_dataset, tmp_path)[0]) == 2


def test_a_value_without_a_class_is_told_with_its_file(tmp_path):
    labels = values()
    labels[0, :3] = 2, 7, 254
    dataset, _ = read(open_dataset, write_set(tmp_path, labels=labels))
    with pytest.raises(ValueError, match=r"must be 0\.\.1, .*a\.png with 2, 7, 254"):
        load_sample(dataset[0], semantic=True)


def test_an_image_of_several_channels_is_told(tmp_path):
    labels = np.zeros((*SIZE, 3), np.uint8)
    dataset, _ = read(open_dataset, write_set(tmp_path, labels=labels))
    with pytest.raises(ValueError, match=r"one channel .*a\.png of shape \(80, 100, 3"):
        load_sample(dataset[0], semantic=True)


def test_it_has_no_segments(tmp_path):
    dataset, _ = read(open_dataset, write_set(tmp_path))
    with pytest.raises(ValueError, match=r"need segments; received .*a\.png"):
        dataset[0].pixel_labels.panoptic_map(SIZE)


def test_what_does_not_fit_together_is_told(tmp_path):
    write_set(tmp_path, "a")
    write_set(tmp_path, "b", labels=values()[:50])
    write_set(tmp_path, "c")
    (tmp_path / "images/c.jpg").unlink()
    write_photo(tmp_path / "images/d.jpg")
    dataset, report = read(open_dataset, tmp_path)
    assert [photo.path.stem for photo in dataset.photos] == ["a"]
    assert report.defects == {"bad_labels": 1, "orphan_label": 1, "not_annotated": 1}


def test_names_are_needed(tmp_path):
    write_set(tmp_path)
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(ValueError, match=r"one per line in classes\.txt"):
        open_dataset(tmp_path)
    dataset, _ = read(open_dataset, tmp_path, class_names=["a", "b"])
    assert dataset.semantic_names == ("a", "b")
    many = [str(i) for i in range(256)]
    with pytest.raises(ValueError, match=r"1 to 255 names.*received 256"):
        read_semantic_images(tmp_path / "images", tmp_path / "semantic", many)
    with pytest.raises(ValueError, match=r"folder of labels must exist; .*nowhere'"):
        read_semantic_images(tmp_path / "images", tmp_path / "nowhere", many)
