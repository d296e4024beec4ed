import contextlib
import dataclasses
import io
import json

import keras
import numpy as np
import pytest
from models.tiny import tiny_detector
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_fpn.data import Dataset, Objects, Photo, RandomFlip
from keras_fpn.data.loader import Loader
from keras_fpn.metrics import CocoEvaluation
from keras_fpn.preprocessing import Preprocessing

NAMES = (
    "AP AP50 AP75 AP_small AP_medium AP_large "
    "AR1 AR10 AR100 AR_small AR_medium AR_large"
).split()
CLASS_NAMES, CATEGORY_IDS = ("cell", "dog", "bus"), (33, 4, 12)
SIZES = ((60, 100), (100, 60), (90, 54), (60, 96), (100, 64), (60, 90), (50, 80))
IMAGE_IDS = (900, 3, 77, 12, 2**31 - 1, 5, 6)
WITHOUT_OBJECTS = (2, 6)  # places of photos
ONE_SHAPE = {"batch_size": 4, "shapes": [(96, 96)]}  # JAX compiles for each


def built():
    """Returns a detector, each time with the same weights."""
    return tiny_detector(
        class_names=CLASS_NAMES,
        category_ids=CATEGORY_IDS,
        preprocessing=Preprocessing(min_size=64, max_size=96),
    )


def loader_of(dataset, model, **arguments):
    defaults = {"batch_size": 3, "shuffle": True, "shapes": "buckets", "fill": True}
    return Loader(dataset, model.preprocessing, **{**defaults, **arguments})


def raw_predictions(model, loader):
    """Returns (image id, xyxy in the photo's pixels, label, score) of all detections.

    Nothing of `keras_fpn.metrics` is used.
    """
    found = []
    for batch in loader.batches(0):
        x, y, _ = loader.load(batch, 0)
        raw = model.predict(x, verbose=0)
        for place, image_id in enumerate(y["image_ids"].tolist()):
            if image_id == -1:
                continue
            height, width = y["photo_sizes"][place] / x["image_sizes"][place]
            for i in range(raw["num_detections"][place]):
                box = raw["boxes"][place, i] * [width, height, width, height]
                label, score = raw["labels"][place, i], raw["scores"][place, i]
                found.append((image_id, box.tolist(), int(label), float(score)))
    return found


def by_hand(found, dataset, folder):
    """Returns COCO's numbers of raw predictions, by way of files for pycocotools.

    Nothing of `keras_fpn.metrics` is used.
    """
    truth = {
        "images": [{"id": photo.image_id} for photo in dataset.photos],
        "categories": [{"id": number} for number in CATEGORY_IDS],
        "annotations": [],
    }
    for photo in dataset.photos:
        objects = photo.objects
        for (x1, y1, x2, y2), label, crowd in zip(
            objects.boxes.tolist(), objects.labels, objects.is_crowd, strict=True
        ):
            annotation = {
                "id": len(truth["annotations"]) + 1,
                "image_id": photo.image_id,
                "category_id": CATEGORY_IDS[label],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": int(crowd),
            }
            truth["annotations"].append(annotation)
    results = [
        {
            "image_id": image_id,
            "category_id": CATEGORY_IDS[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for image_id, (x1, y1, x2, y2), label, score in found
    ]
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "truth.json"))
        evaluator = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return np.where(evaluator.stats < 0, np.nan, evaluator.stats)


@pytest.fixture(scope="module")
def model():
    return built()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A data set of photos of noise, high and wide, without objects."""
    folder, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    photos = []
    for place, size in enumerate(SIZES):
        coarse = draw.integers(0, 255, (size[0] // 4, size[1] // 4, 3), np.uint8)
        path = folder / f"{place}.png"
        Image.fromarray(coarse).resize(size[::-1]).save(path)
        photos.append(Photo(IMAGE_IDS[place], path, *size, Objects([], [], [])))
    return Dataset(tuple(photos), CLASS_NAMES, CATEGORY_IDS, name="noise")


@pytest.fixture(scope="module")
def found(model, photos):
    return raw_predictions(model, loader_of(photos, model))


@pytest.fixture(scope="module")
def dataset(photos, found):
    """Objects where the model finds the most certain ones, but moved a little."""
    draw, annotated = np.random.default_rng(1), []
    for place, photo in enumerate(photos.photos):
        own = [one for one in found if one[0] == photo.image_id]
        own = [] if place in WITHOUT_OBJECTS else own[:8]
        boxes = np.array([box for _, box, _, _ in own]).reshape(-1, 4)
        boxes = boxes + draw.normal(0, 1.5, boxes.shape)
        boxes = np.clip(boxes, 0, [photo.width, photo.height] * 2)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 2)
        labels = [label for _, _, label, _ in own]
        crowd = np.arange(len(own)) == 7
        objects = Objects(boxes, labels, crowd)
        annotated.append(dataclasses.replace(photo, objects=objects))
    return dataclasses.replace(photos, photos=tuple(annotated))


def test_logs_equal_pycocotools_on_files_of_the_raw_predictions(
    model, dataset, found, tmp_path
):
    callback = CocoEvaluation(loader_of(dataset, model))
    callback.set_model(model)
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert list(logs) == ["loss", *(f"val_{name}" for name in NAMES)]
    measured = [logs[f"val_{name}"] for name in NAMES]
    expected = by_hand(found, dataset, tmp_path)
    np.testing.assert_allclose(measured, expected, atol=1e-9)
    assert len(callback.results) == len(found)
    assert 0.05 < logs["val_AP"] < 0.95, "the case must be able to fail"
    first = callback.metrics.per_class[0]
    assert first.name == "cell"
    assert first.objects > 0, "class 0 must take part"
    assert 0 < first.values["AP"] < 1


def test_the_bucketed_case_has_what_it_is_about(model, dataset):
    loader = loader_of(dataset, model)
    batches = loader.batches(0)
    places = [index for batch in batches for index in batch.indices if index >= 0]
    assert sorted(places) == list(range(7))
    assert places != sorted(places), "shuffled"
    assert len({batch.shape for batch in batches}) > 1, "several buckets"
    assert any(min(batch.indices) < 0 for batch in batches), "pixels that fill"


@pytest.mark.ci
def test_fit_shows_the_numbers_to_other_callbacks_and_keeps_the_best(dataset, tmp_path):
    trained = built()
    trained.compile(keras.optimizers.SGD(1e-3))
    loader = loader_of(dataset, trained, **ONE_SHAPE)
    batches = (loader.load(b, epoch) for epoch in (0, 1) for b in loader.batches(epoch))
    evaluation = CocoEvaluation(loader, prefix="dev_")
    seen = []

    def note(epoch, logs):
        seen.append((logs["dev_AP"], trained.get_weights()))

    history = trained.fit(
        batches,
        epochs=2,
        steps_per_epoch=len(loader),
        shuffle=False,
        verbose=0,
        callbacks=[
            evaluation,
            keras.callbacks.LambdaCallback(on_epoch_end=note),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "best.keras",
                monitor="dev_AP",
                mode="max",
                save_best_only=True,
            ),
            keras.callbacks.EarlyStopping(monitor="dev_AP50", mode="max", patience=9),
        ],
    ).history
    assert history["dev_AP"] == [value for value, _ in seen]
    assert history["dev_AP"][-1] == evaluation.metrics.values["AP"]
    # The numbers are those of the weights as they were then.
    expected = by_hand(raw_predictions(trained, loader), dataset, tmp_path)
    measured = list(evaluation.metrics.values.values())
    np.testing.assert_allclose(measured, expected, atol=1e-9)
    assert measured[0] > 0
    best = keras.models.load_model(tmp_path / "best.keras").get_weights()
    _, weights = max(seen, key=lambda one: one[0])  # the first one of equals
    for stored, kept in zip(best, weights, strict=True):
        np.testing.assert_array_equal(stored, kept)
    trained.set_weights([0 * array for array in trained.get_weights()])
    assert evaluation.evaluate().values["AP"] < measured[0]


def test_skipped_photos_are_left_out_by_name(model, dataset, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(dataset.photos[0].path.read_bytes()[:200])
    photos = (dataclasses.replace(dataset[0], path=broken), *dataset.photos[1:])
    partly = dataclasses.replace(dataset, photos=photos)
    callback = CocoEvaluation(loader_of(partly, model, on_error="skip", **ONE_SHAPE))
    callback.set_model(model)
    with (
        pytest.warns(UserWarning, match=r"A photo was skipped: .*broken\.png"),
        pytest.warns(
            UserWarning, match=r"without 1 photos .* skipped: .*broken\.png\."
        ),
    ):
        measured = callback.evaluate()
    assert measured.images == 6
    kept = [photo.objects.is_crowd for photo in partly.photos[1:]]
    assert measured.objects == sum((~crowd).sum() for crowd in kept) > 0

    callback = CocoEvaluation(loader_of(partly, model, **ONE_SHAPE))
    callback.set_model(model)
    with pytest.raises(ValueError, match=r"broken\.png"):
        callback.evaluate()


def test_augmented_photos_are_refused(model, dataset):
    loader = loader_of(dataset, model, augment=(RandomFlip(),))
    with pytest.raises(ValueError, match=r"received a loader with augment=\(RandomFli"):
        CocoEvaluation(loader)


def test_photos_without_any_object_are_refused(model, dataset):
    photos = tuple(dataset[place] for place in WITHOUT_OBJECTS)
    empty = dataclasses.replace(dataset, photos=photos)
    with pytest.raises(ValueError, match="received a loader of 2 photos without"):
        CocoEvaluation(loader_of(empty, model))


@pytest.mark.parametrize(
    "names", [("dog", "cell", "bus"), ("cell", "dog"), ("cell", "dog", "car")]
)
def test_other_classes_than_the_models_are_refused(model, dataset, names):
    photos = [
        dataclasses.replace(photo, objects=photo.objects[photo.objects.labels == 0])
        for photo in dataset.photos
    ]
    other = Dataset(tuple(photos), names, tuple(range(len(names))))
    callback = CocoEvaluation(loader_of(other, model))
    with pytest.raises(ValueError, match=r"\['cell', 'dog', 'bus'\] and \["):
        callback.set_model(model)


def test_models_with_classes_by_number_fit_any_names(dataset):
    callback = CocoEvaluation(loader_of(dataset, tiny_detector()))
    callback.set_model(tiny_detector(num_classes=3))
