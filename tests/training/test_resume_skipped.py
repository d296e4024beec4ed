"""A resumed run leaves out the photos that could not be read before it was killed."""

import json
import zipfile

import keras
import numpy as np
import pytest
from training.mean_box import MeanBox
from training.test_plan import plan

from keras_fpn.data import augmented_photos
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.training import prepare_training

PLAN = plan(
    build=MeanBox,
    optimizer=keras.optimizers.SGD,
    schedule=lambda rate, *_: rate,
    batch_size=2,
    learning_rate=1e-3,
)
EPOCHS, LENGTH = 3, 4  # steps of an epoch


class Killed(keras.callbacks.Callback):
    """Ends the training after a step of the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 1:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


@pytest.fixture(scope="module")
def dataset():
    return scene_dataset(2 * LENGTH, seed=1, size=(64, 64), objects=(1, 3))


@pytest.fixture
def reads(monkeypatch):
    """Image ids in the order in which they were read; and those that fail, by number.

    The second attempt to read a photo of `reads.failing` fails, and no other.
    """

    class Reads(list):
        failing = ()

    found, load = Reads(), augmented_photos.load_sample

    def load_sample(photo, *arguments):
        found.append(photo.image_id)
        if photo.image_id in found.failing and found.count(photo.image_id) == 2:
            raise ValueError("it is cut.")
        return load(photo, *arguments)

    monkeypatch.setattr(augmented_photos, "load_sample", load_sample)
    return found


def trained(folder, dataset, *callbacks):
    training = prepare_training(PLAN, dataset, folder, seed=5)
    training.run(callbacks, save_every=1, workers=1)
    model = training.model
    values = [*model.variables, *model.optimizer.variables]
    return training, [keras.ops.convert_to_numpy(one).tobytes() for one in values]


def first_of(dataset, folder, epoch):
    """The image id of the first photo of an epoch."""
    loader = prepare_training(PLAN, dataset, folder, seed=5).loader
    return dataset[loader.batches(epoch)[0].indices[0]].image_id


def test_a_photo_that_was_skipped_stays_so_after_a_resumption(tmp_path, dataset, reads):
    photo = first_of(dataset, tmp_path / "order", 1)
    _, all_photos = trained(tmp_path / "all", dataset)
    reads.clear()
    reads.failing = (photo,)
    with pytest.warns(UserWarning, match="skipped: .*it is cut"):
        training, expected = trained(tmp_path / "whole", dataset)
    assert expected != all_photos  # the photo matters
    assert reads.count(photo) == 2  # and is not read in the third epoch
    assert list(training.loader.skipped) == [photo]
    reads.clear()
    with (
        pytest.warns(UserWarning, match="skipped: .*it is cut"),
        pytest.raises(KeyboardInterrupt),
    ):
        trained(tmp_path / "cut", dataset, Killed())
    reads.clear()  # the file is whole again
    with pytest.warns(UserWarning, match=r"stay left out, 1 in all: "):
        training, received = trained(tmp_path / "cut", dataset)
    assert received == expected
    assert photo not in reads
    assert list(training.loader.skipped) == [photo]
    assert "it is cut" in training.loader.skipped[photo]


def test_what_stays_left_out_counts(tmp_path, dataset, reads):
    """Of eight photos one may be unreadable, before and after a resumption together."""
    reads.failing = (first_of(dataset, tmp_path / "order", 1),)
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(KeyboardInterrupt),
    ):
        trained(tmp_path / "cut", dataset, Killed())
    reads.clear()
    reads.failing = {photo.image_id for photo in dataset.photos}
    with (
        pytest.warns(UserWarning, match="stay left out|skipped"),
        pytest.raises(OSError, match=r"at most 1 may be unreadable .*received [2-8]:"),
    ):
        trained(tmp_path / "cut", dataset)


def test_a_checkpoint_of_an_earlier_version_leaves_out_no_photo(tmp_path, dataset):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, dataset, Killed())
    for path in tmp_path.glob("checkpoint-*.keras"):
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        state = json.loads(members["training_state.json"])
        assert state.pop("skipped") == {}
        members["training_state.json"] = json.dumps(state)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    training, _ = trained(tmp_path, dataset)
    assert training.start_step == LENGTH + 2
    assert training.loader.skipped == {}
    assert np.isfinite(training.folder.epochs[-1]["loss"])
