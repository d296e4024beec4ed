"""G, the padded number of objects: planned, the same for a batch, never too small."""

import dataclasses

import keras
import numpy as np
import pytest
from data.painted import SMALL, painted_dataset
from models.tiny import tiny_detector

from keras_fpn.data import CopyPaste, Loader


def apart(tmp_path, counts):
    """Photos of one size whose objects never cover those of another one."""
    dataset = painted_dataset(tmp_path, [(32, 128)] * len(counts), counts)
    photos = []
    for place, photo in enumerate(dataset.photos):
        boxes = photo.objects.boxes + np.float32([8 * place, 0, 8 * place, 0])
        polygons = [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes]
        objects = dataclasses.replace(photo.objects, boxes=boxes, segments=polygons)
        photos.append(dataclasses.replace(photo, objects=objects))
    return dataclasses.replace(dataset, photos=tuple(photos))


@pytest.mark.parametrize("pastes", [0, 1, 2])
@pytest.mark.parametrize("masks", [False, True])
def test_the_planned_number_of_objects_loses_none(tmp_path, masks, pastes):
    dataset = apart(tmp_path, [0, 0, 0, 1, *8 * [2]])
    augment = [CopyPaste(share=1.0)] * pastes
    loader = Loader(dataset, SMALL, 2, augment, 4, shuffle=True, masks=masks)
    sizes, most = set(), 0
    for epoch in range(12):
        for batch in loader.batches(epoch):
            counts = []
            for index in batch.indices:
                sample = loader._photos.sample(index, epoch)
                counts.append(len(sample["boxes"]))
            assert max(counts) <= batch.max_objects
            sizes.add(batch.max_objects)
            most = max(most, *counts)
        _, y, _ = loader.load(batch, epoch)
        assert y["boxes"].shape[1] == batch.max_objects
        assert (y["labels"] >= 0).sum(axis=1).tolist() == counts
    # Two of its own, and two for each of 0, 1 or 3 photos that are pasted.
    assert most == loader.max_objects == 2 + 2 * (2**pastes - 1)
    # Half of `most` holds the photos without objects, but not after two pastes: 6 of 8.
    varies = masks and pastes < 2
    assert sizes == {(most + 1) // 2, most} if varies else {most}
    assert loader.specs()[1]["boxes"].shape[1] == (None if varies else most)


def traces(loader, epochs):
    """How often a compiled function of the targets is compiled anew over epochs."""
    traced = []

    def objects(y):
        traced.append(y["boxes"].shape)
        return keras.ops.sum(keras.ops.cast(y["labels"] >= 0, "int32"))

    if keras.config.backend() == "jax":
        import jax

        compiled = jax.jit(objects)
    else:
        import tensorflow as tf

        compiled = tf.function(objects)
    for epoch in range(epochs):
        for batch in loader.batches(epoch):
            compiled(loader.blank(batch)[1])
    return len(traced)


def test_a_step_is_compiled_for_at_most_four_numbers_of_objects(tmp_path):
    # 20 photos of 0 to 19 objects: without planning, batches of 2 need 19 numbers.
    dataset = painted_dataset(tmp_path, [(32, 64)] * 20, counts=range(20))
    loader = Loader(dataset, SMALL, 2, shuffle=True, masks=True)
    assert traces(loader, 5) == 4
    assert traces(Loader(dataset, SMALL, 2, shuffle=True), 5) == 1
    fixed = Loader(dataset, SMALL, 2, shuffle=True, masks=True, max_objects=19)
    assert traces(fixed, 5) == 1


@pytest.mark.ci
def test_padding_of_objects_changes_no_loss(tmp_path):
    dataset = painted_dataset(tmp_path)
    model = tiny_detector(num_classes=len(dataset.class_names))
    model.compile(run_eagerly=True)
    losses = []
    for count in (2, 50):
        loader = Loader(dataset, model.preprocessing, 3, max_objects=count)
        x, y, weight = loader.load(loader.batches(0)[0], 0)
        assert y["boxes"].shape[1] == count
        losses.append(model.test_on_batch(x, y, weight, return_dict=True))
    assert min(losses[0].values()) > 0
    assert losses[0] == losses[1]
