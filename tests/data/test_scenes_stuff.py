"""Scenes as a panoptic data set: textures and clutter are stuff."""

import numpy as np

from keras_fpn.data import load_sample, open_dataset
from keras_fpn.data.fingerprint import fingerprint
from keras_fpn.data.scenes import (
    STUFF_NAMES,
    composition,
    scene,
    scene_dataset,
    textures,
    write_scenes,
)
from keras_fpn.data.scenes.random_stream import RandomStream

SMALL = {"size": (64, 80), "objects": (3, 6), "sides": (8, 40)}
CLUTTER = STUFF_NAMES.index("clutter")


def test_there_is_a_name_for_each_texture_and_for_clutter():
    names = [texture.__name__.strip("_") for texture in textures.TEXTURES]
    assert (*names, "clutter") == STUFF_NAMES


def test_the_pictures_are_the_same_with_and_without():
    with_stuff, without = scene(3, 1, **SMALL, stuff=True), scene(3, 1, **SMALL)
    assert set(with_stuff) - set(without) == {"semantic_map"}
    for name, value in without.items():
        np.testing.assert_array_equal(with_stuff[name], value)


def test_a_pixel_is_an_object_or_stuff():
    dataset = scene_dataset(4, 3, **SMALL, stuff=True)
    assert (dataset.stuff_names, dataset.has_semantic) == (STUFF_NAMES, True)
    assert not set(dataset.stuff_ids) & set(dataset.category_ids)
    kinds = set()
    for photo in dataset.photos:
        sample = load_sample(photo, masks=True, semantic=True)
        labels, masks = sample["semantic_map"], sample["masks"]
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels == 0, masks.any(axis=0))
        assert labels.max() <= len(STUFF_NAMES)
        numbers, segments = photo.pixel_labels.panoptic_map((64, 80))
        assert numbers.dtype == np.int32
        things = [s for s in segments if s["isthing"]]
        assert [s["label"] for s in things] == sample["labels"].tolist()
        for one, mask in zip(things, masks, strict=True):
            np.testing.assert_array_equal(numbers == one["id"], mask)
        for one in segments[len(things) :]:
            np.testing.assert_array_equal(
                numbers == one["id"], labels == 1 + one["label"]
            )
            kinds.add(one["label"])
        assert set(np.unique(numbers)) == {s["id"] for s in segments}
    assert len(kinds) > 2


def test_labels_of_textures_end_where_the_textures_do(monkeypatch):
    """The first texture is drawn as 0, the second as 1, as the ground then shows."""
    made = []

    def numbered(random, height, width):
        made.append(len(made))
        return np.full((height, width, 3), made[-1], np.float32), made[-1]

    monkeypatch.setattr(textures, "_colored", numbered)
    two = 0
    for index in range(12):
        ground, kinds = textures.background(RandomStream(1, index), 40, 50)
        made.clear()
        np.testing.assert_array_equal(ground[..., 0] >= 0.5, kinds)
        two += len(np.unique(kinds)) == 2
    assert two > 2


def test_clutter_is_where_it_is_painted(monkeypatch):
    def mark(random, pixels, stamp, here, part):
        pixels[here][stamp.mask[part]] = -1

    monkeypatch.setattr(composition, "paint", mark)
    monkeypatch.setattr(composition, "darken", lambda *arguments: None)
    monkeypatch.setattr(composition, "photographed", lambda random, pixels: pixels)
    drawn = composition.compose(2, 0, (64, 80), (0, 0), (8, 40))
    painted = drawn.pixels[..., 0] == -1
    assert 0 < painted.mean() < 0.9
    np.testing.assert_array_equal(drawn.stuff == CLUTTER, painted)


def test_they_are_written_as_coco_panoptic(tmp_path):
    path = write_scenes(tmp_path, 2, seed=3, **SMALL, stuff=True)
    assert path.name == "panoptic.json"
    assert not (tmp_path / "instances.json").exists()
    written = open_dataset(tmp_path, report=None)
    made = scene_dataset(2, 3, **SMALL, stuff=True)
    assert written.class_names == made.class_names
    assert (written.stuff_names, written.stuff_ids) == (
        made.stuff_names,
        made.stuff_ids,
    )
    for one, other in zip(written.photos, made.photos, strict=True):
        found, expected = (load_sample(p, True, True) for p in (one, other))
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_fingerprint_depends_on_stuff():
    prints = [fingerprint(scene_dataset(1, 3, **SMALL, stuff=s)) for s in (True, False)]
    assert prints[0] != prints[1]
