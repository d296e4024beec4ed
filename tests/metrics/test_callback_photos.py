"""The evaluation after an epoch without a detector: which photos, boxes and classes."""

import pathlib

import keras
import numpy as np
import pytest
from PIL import Image

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.data.loader import Loader
from keras_fpn.metrics import CocoEvaluation
from keras_fpn.metrics import callback as callback_module
from keras_fpn.preprocessing import Preprocessing

CLASS_NAMES, CATEGORY_IDS = ("cell", "dog", "bus"), (33, 4, 12)
SIZES = ((60, 100), (100, 60), (90, 54), (60, 96), (100, 64), (60, 90), (50, 80))


class UnreadLoader:
    """Stands for a loader whose photos nobody reads."""

    augment = ()

    def __init__(self, dataset):
        self.dataset = dataset


def photos_with_an_object(count):
    objects = Objects([[1, 2, 30, 40]], [1], [False])
    photos = [
        Photo(10 + n, pathlib.Path(f"{n}.png"), 60, 100, objects) for n in range(count)
    ]
    return Dataset(tuple(photos), CLASS_NAMES, CATEGORY_IDS)


@pytest.mark.parametrize(
    ("skipped", "named"),
    [
        (1, r"1 photos that were skipped: 0\.png\."),
        (5, r"5 photos .*: 0\.png, 1\.png, 2\.png, 3\.png, 4\.png\."),
        (6, r"6 photos .*: 0\.png, .*, 4\.png and 1 more\."),
    ],
)
def test_five_skipped_photos_are_named_and_all_left_out(skipped, named):
    dataset = photos_with_an_object(7)
    callback = CocoEvaluation(UnreadLoader(dataset))
    with pytest.warns(UserWarning, match=named):
        truth = callback._without(list(dataset.photos[:skipped]))
    kept = list(range(10 + skipped, 17))
    assert [image["id"] for image in truth["images"]] == kept
    assert [entry["image_id"] for entry in truth["annotations"]] == kept
    everything = callback._without([])
    assert len(everything["images"]) == 7


def test_one_object_is_enough_to_evaluate_on():
    callback = CocoEvaluation(UnreadLoader(photos_with_an_object(1)))
    assert callback.metrics is None
    assert callback.prefix == "val_"


def whole_images(x):
    """Stands for a detector: it finds a dog in each image, as large as the image."""
    sizes = x["image_sizes"]
    boxes = np.concatenate([0 * sizes, sizes[:, ::-1]], axis=1)
    count = len(sizes)
    return {
        "boxes": np.stack([boxes, boxes - 7], axis=1),  # the second is padding
        "labels": np.tile([1, -1], (count, 1)),
        "scores": np.tile([0.5, 0.0], (count, 1)).astype(np.float32),
        "num_detections": np.ones(count, np.int32),
    }


@pytest.mark.parametrize("shuffle", [False, True])
def test_detections_are_those_of_the_photos_in_their_own_pixels(
    tmp_path, monkeypatch, shuffle
):
    # High and wide ones by themselves, four in a batch: both second ones are filled up.
    objects, photos = Objects([[0, 0, 50, 50]], [1], [False]), []
    for place, size in enumerate(SIZES):
        path = tmp_path / f"{place}.png"
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)
        photos.append(Photo(70 - place, path, *size, objects))
    dataset = Dataset(tuple(photos), CLASS_NAMES, CATEGORY_IDS)
    loader = Loader(
        dataset,
        Preprocessing(min_size=32, max_size=48),
        batch_size=4,
        shuffle=shuffle,
        shapes="buckets",
        fill=True,
    )
    calls = []

    def compiled(model):
        calls.append(model)
        return whole_images

    monkeypatch.setattr(callback_module, "compiled_call", compiled)
    evaluation = CocoEvaluation(loader)
    model = keras.Sequential()
    model.class_names = CLASS_NAMES
    evaluation.set_model(model)
    for _ in range(2):
        metrics = evaluation.evaluate()
    assert calls == [model]  # compiled once
    assert evaluation.metrics is metrics
    found = {one["image_id"]: one["bbox"] for one in evaluation.results}
    assert len(evaluation.results) == len(found) == metrics.images == 7
    for photo in dataset.photos:
        expected = [0, 0, photo.width, photo.height]
        np.testing.assert_allclose(found[photo.image_id], expected, rtol=1e-5)
    assert {one["category_id"] for one in evaluation.results} == {4}
    assert {one["score"] for one in evaluation.results} == {0.5}
    evaluation.set_model(model)
    evaluation.on_epoch_end(0)  # without logs
    assert calls == [model, model]  # anew for a model that is set
