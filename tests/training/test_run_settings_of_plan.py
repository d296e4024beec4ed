"""Only the same training resumes in a folder, and one that has ended stays ended."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone
from training.test_run_folder import largest_file

from keras_fpn.data import RandomFlip
from keras_fpn.data.dataset import Dataset, Objects, Photo
from keras_fpn.data.fingerprint import fingerprint
from keras_fpn.layers import FeaturePyramid
from keras_fpn.models import rpn_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import SGD, TrainingPlan, prepare_training


def build(*_, backbone=None):
    """A tiny detector for 64 pixels, of one stage: it is made and trained sooner."""
    return rpn_fpn(
        backbone or tiny_backbone(("C4", "C5")),
        preprocessing=Preprocessing(64, 64),
        neck=FeaturePyramid(16, name="neck"),
    )


PLAN = TrainingPlan(
    name="same",
    build=build,
    batch_size=2,
    learning_rate=0.001,
    schedule=lambda rate, *_: rate,
    optimizer=SGD,
    epochs=3,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four gray photos with one object each."""
    folder, photos = tmp_path_factory.mktemp("photos"), []
    for number in range(4):
        path = folder / f"{number}.png"
        keras.utils.save_img(path, np.full((64, 64, 3), 50.0 * number), scale=False)
        objects = Objects([[8, 8, 40, 40 + number]], [0], [False])
        photos.append(Photo(number, path, 64, 64, objects))
    return Dataset(tuple(photos), ("dog",), (1,), name="dogs")


def prepared(dataset, output, validation=None, **changes):
    return prepare_training(
        dataclasses.replace(PLAN, **changes), dataset, output, validation
    )


def moved(dataset, by=1):
    """The data set with its last box moved by some pixels."""
    last = dataset.photos[-1]
    objects = dataclasses.replace(last.objects, boxes=last.objects.boxes + by)
    photos = (*dataset.photos[:-1], dataclasses.replace(last, objects=objects))
    return dataclasses.replace(dataset, photos=photos)


def test_whatever_changes_the_weights_is_refused(dataset, tmp_path):
    prepared(dataset, tmp_path, dataset)
    prepared(dataset, tmp_path, dataset)  # the same settings do not raise
    others = {
        r"shapes=": {"shapes": "buckets"},
        r"undecayed=": {"undecayed": ()},
        r"augment=.*RandomFlip": {"augment": (RandomFlip(),)},
        r"model.proposals.nms_threshold=0.6 where the run has 0.7": {
            "build": with_threshold
        },
    }
    for said, changes in others.items():
        with pytest.raises(ValueError, match=said):
            prepared(dataset, tmp_path, dataset, **changes)
    reversed_ = dataclasses.replace(dataset, photos=dataset.photos[::-1])
    for other in (reversed_, moved(dataset)):
        with pytest.raises(ValueError, match=r"dataset='dogs, 4 photos, \w{16}' where"):
            prepared(other, tmp_path, dataset)
        with pytest.raises(ValueError, match="validation='dogs, 4 photos"):
            prepared(dataset, tmp_path, other)
    with pytest.raises(ValueError, match="validation=None where"):
        prepared(dataset, tmp_path)


def with_threshold(*classes):
    model = build(*classes)
    model.proposals.nms_threshold = 0.6
    return model


class Brighter:
    """A user's augmentation without a repr of its own."""

    def __call__(self, sample, generator):
        return sample


def test_an_augmentation_of_ones_own_can_be_resumed(dataset, tmp_path):
    prepared(dataset, tmp_path, augment=(Brighter(),))
    prepared(dataset, tmp_path, augment=(Brighter(),))


def test_the_folder_of_the_photos_has_no_part_in_a_fingerprint(dataset, tmp_path):
    elsewhere = dataclasses.replace(
        dataset,
        photos=[
            dataclasses.replace(photo, path=tmp_path / photo.path.name)
            for photo in dataset.photos
        ],
    )
    assert fingerprint(elsewhere) == fingerprint(dataset) != fingerprint(moved(dataset))


def test_segments_have_part_in_a_fingerprint(dataset):
    def with_segment(segment):
        photo = dataset.photos[0]
        objects = dataclasses.replace(photo.objects, segments=(segment,))
        photo = dataclasses.replace(photo, objects=objects)
        return dataclasses.replace(dataset, photos=(photo,))

    run_lengths = {"size": [64, 64], "counts": "00"}
    segments = [None, [[0, 0, 9, 0, 9, 9]], [[0, 0, 9, 0, 9, 8]], run_lengths]
    assert len({fingerprint(with_segment(segment)) for segment in segments}) == 4


class StopAtOnce(keras.callbacks.Callback):
    """Stands in for `EarlyStopping`."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_a_training_that_a_callback_stopped_stays_stopped(dataset, tmp_path):
    optimizer = {"optimizer": lambda rate: SGD(rate, use_ema=True, ema_momentum=0.5)}
    training = prepared(dataset, tmp_path, **optimizer)
    # The first of two calls of `fit` is the rest of an interrupted epoch.
    training = dataclasses.replace(
        training, start=dataclasses.replace(training.start, batch=1)
    )
    assert [epoch["epoch"] for epoch in training.run([StopAtOnce()])] == [0]
    for path in tmp_path.glob("checkpoint-*"):  # not needed any more
        path.write_bytes(b"damaged")
    again = prepared(dataset, tmp_path, **optimizer)
    assert [epoch["epoch"] for epoch in again.run()] == [0]
    ended = zip(again.model.get_weights(), training.model.get_weights(), strict=True)
    for weight, expected in ended:
        np.testing.assert_array_equal(weight, expected)


def test_putting_weights_back_is_refused(dataset, tmp_path):
    callback = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError, match=r"received EarlyStopping with .*best\.keras"):
        prepared(dataset, tmp_path).run([callback])


# In .ci/run JAX keeps what it compiled, and warns that it cannot.
@pytest.mark.filterwarnings("ignore:Error writing persistent compilation cache")
def test_a_disk_too_full_for_the_history_is_said(dataset, tmp_path):
    training = prepared(dataset, tmp_path)
    with (
        largest_file(10),
        pytest.raises(OSError, match=r"history\.json, about .* Intact is nothing"),
    ):
        training.run()
    assert not (tmp_path / "history.json").exists()


def test_photos_without_objects_train_or_not_as_the_plan_says(dataset, tmp_path):
    first = dataset.photos[0]
    empty = dataclasses.replace(first, objects=Objects([], [], []))
    dataset = dataclasses.replace(dataset, photos=(empty, *dataset.photos[1:]))
    found = [
        len(prepared(dataset, tmp_path / name, keep_empty=name == "all").loader.dataset)
        for name in ("all", "some")
    ]
    assert found == [4, 3]


def test_the_class_of_the_optimizer_and_activations_count(dataset, tmp_path):
    prepared(dataset, tmp_path)
    with pytest.raises(
        ValueError, match=r"optimizer.class='SGD' where .*keras_fpn>SGD"
    ):
        prepared(dataset, tmp_path, optimizer=keras.optimizers.SGD)

    def sigmoid(*classes):
        model = build(*classes)
        model.backbone.get_layer("stem").activation = keras.activations.sigmoid
        return model

    with pytest.raises(ValueError, match=r"model.backbone='\w{16}' where"):
        prepared(dataset, tmp_path, build=sigmoid)


def test_parts_that_keras_numbers_are_the_same_again(dataset, tmp_path):
    def unnamed(*classes):
        images = keras.Input((None, None, 3))
        x, maps = images, {}
        for level in ("C2", "C3", "C4"):
            strides = 4 if level == "C2" else 2
            x = keras.layers.Conv2D(8, 3, strides, "same", activation="relu")(x)
            maps[level] = x
        return build(backbone=keras.Model(images, maps))

    for _ in range(2):
        prepared(dataset, tmp_path, build=unnamed)


def test_other_versions_may_describe_a_model_in_other_words(dataset, tmp_path):
    prepared(dataset, tmp_path)
    path = tmp_path / "run.json"
    run = json.loads(path.read_text())
    del run["settings"]["model"]["proposals"]["score_threshold"]
    path.write_text(json.dumps(run))
    with pytest.raises(ValueError, match="where the run has 'nothing'"):
        prepared(dataset, tmp_path)
    run["made_with"]["Keras"] = "3.0"
    path.write_text(json.dumps(run))
    described = "because versions differ: model.proposals.score_threshold=0.0"
    with (
        pytest.warns(UserWarning, match="was begun with Keras 3.0 and resumes with"),
        pytest.warns(UserWarning, match=described),
    ):
        prepared(dataset, tmp_path)
