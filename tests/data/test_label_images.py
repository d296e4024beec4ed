import numpy as np
import pytest
from data.tiny_sets import boxes, disc, read, write_photo
from PIL import Image, ImageFile

from keras_fpn.data import read_coco, read_label_images, write_coco
from keras_fpn.data.masks import segment_mask


def write_labels(folder, name, labels):
    (folder / "labels").mkdir(exist_ok=True, parents=True)
    Image.fromarray(labels).save(folder / "labels" / name)


def two_discs(dtype, second=2):
    labels = np.zeros((80, 100), dtype)
    labels[disc(80, 100, (30, 40), 10)] = 1
    labels[disc(80, 100, (70, 90), 15)] = second
    return labels


def test_every_value_is_an_object(tmp_path):
    write_photo(tmp_path / "images/a.jpg")
    write_photo(tmp_path / "images/b.jpg")
    labels = two_discs(np.uint16, second=40000)
    write_labels(tmp_path, "a.png", labels)
    write_labels(tmp_path, "b.tif", np.zeros((80, 100), np.uint8))
    dataset, report = read(
        read_label_images, tmp_path / "images", tmp_path / "labels", ["cell"]
    )
    # Rows 30 - 9 to 30 + 9, the last included; the second is cut by the corner.
    assert boxes(dataset) == [[31, 21, 50, 40], [76, 56, 100, 80]]
    for value, segment in zip((1, 40000), dataset[0].objects.segments, strict=True):
        np.testing.assert_array_equal(segment_mask(segment, (80, 100)), labels == value)
    assert len(dataset[1].objects) == 0
    assert dataset.class_names == ("cell",)
    assert report.counts == {}


def test_they_become_a_coco_file(tmp_path):
    write_photo(tmp_path / "images/a.jpg")
    write_labels(tmp_path, "a.png", two_discs(np.uint8))
    dataset, _ = read(read_label_images, tmp_path / "images", tmp_path / "labels")
    write_coco(dataset, tmp_path / "instances.json")
    again, report = read(read_coco, tmp_path / "instances.json")
    np.testing.assert_array_equal(again[0].objects.boxes, dataset[0].objects.boxes)
    assert again[0].objects.segments == dataset[0].objects.segments
    assert again.class_names == ("object",)
    assert report.counts == {}


def test_what_does_not_fit_together_is_told(tmp_path):
    for stem in "abcde":
        write_photo(tmp_path / f"images/{stem}.jpg")
    write_labels(tmp_path, "a.png", two_discs(np.uint8))
    write_labels(tmp_path, "b.png", two_discs(np.uint8)[:50])
    write_labels(tmp_path, "c.png", np.zeros((80, 100, 3), np.uint8))
    (tmp_path / "labels/d.png").write_bytes(b"\x89PNG cut")
    write_labels(tmp_path, "gone.png", two_discs(np.uint8))
    dataset, report = read(read_label_images, tmp_path / "images", tmp_path / "labels")
    assert [photo.path.stem for photo in dataset.photos] == ["a"]
    assert report.defects == {
        "other_size": 1,
        "unreadable_file": 2,
        "not_annotated": 1,
        "orphan_label": 1,
    }
    assert "shape=(80, 100, 3)" in report.examples["unreadable_file"][0]
    [other] = report.examples["other_size"]
    assert other.endswith("labels/b.png: 100x50, its photo b.jpg is 100x80")


def test_a_label_image_of_another_size_is_not_decoded(tmp_path, monkeypatch):
    """Some kilobytes may stand for gigabytes."""
    for stem in "ab":
        write_photo(tmp_path / f"images/{stem}.jpg")
    write_labels(tmp_path, "a.png", two_discs(np.uint8))
    write_labels(tmp_path, "b.png", np.zeros((800, 1000), np.uint8))
    load, decoded = ImageFile.ImageFile.load, []
    monkeypatch.setattr(
        ImageFile.ImageFile, "load", lambda one: decoded.append(one.size) or load(one)
    )
    _, report = read(read_label_images, tmp_path / "images", tmp_path / "labels")
    assert report.defects == {"other_size": 1}
    assert set(decoded) == {(100, 80)}


def test_a_label_image_of_the_stored_size_is_one_of_a_photo_not_rotated(tmp_path):
    write_photo(tmp_path / "images/a.jpg")
    write_photo(tmp_path / "images/b.jpg", orientation=6)  # upright it is 80x100
    for name in ("a.png", "b.png"):
        write_labels(tmp_path, name, two_discs(np.uint8))
    _, report = read(read_label_images, tmp_path / "images", tmp_path / "labels")
    assert report.defects == {"unrotated": 1}


def test_a_label_image_of_another_format_is_not_opened(tmp_path):
    for stem in "ab":
        write_photo(tmp_path / f"images/{stem}.jpg")
    write_labels(tmp_path, "a.png", two_discs(np.uint8))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 80\n%%EndComments\n"
    (tmp_path / "labels/b.png").write_bytes(eps)
    _, report = read(read_label_images, tmp_path / "images", tmp_path / "labels")
    assert report.defects == {"unreadable_file": 1}
    assert "formats JPEG, PNG" in report.examples["unreadable_file"][0]


def test_folders_and_the_class_are_checked(tmp_path):
    (tmp_path / "labels").mkdir()
    with pytest.raises(ValueError, match=r"folder of images must exist; .*nowhere'"):
        read_label_images(tmp_path / "nowhere", tmp_path / "labels")
    with pytest.raises(ValueError, match=r"folder of labels must exist; .*nowhere'"):
        read_label_images(tmp_path / "labels", tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"one class; received .*\['a', 'b'\]"):
        read_label_images(tmp_path / "labels", tmp_path / "labels", ["a", "b"])
