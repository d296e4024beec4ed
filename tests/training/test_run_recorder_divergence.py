import keras
import numpy as np
import pytest
from training.small_model import SETTINGS, compiled

from keras_fpn.data import Loader
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training.run_folder import RunFolder, TrainingDiverged
from keras_fpn.training.run_recorder import RunRecorder

BATCH, STEPS = 2, 4  # the last batch of an epoch has one photo twice


@pytest.fixture
def loader():
    dataset = scene_dataset(7, size=(64, 64))
    size = Preprocessing(64, 64)
    return Loader(dataset, size, BATCH, seed=3, shuffle=True, fill=True)


def images(loader, epoch, batch):
    """The image ids of a batch, as they are printed."""
    indices = loader.batches(epoch)[batch].indices
    photos = loader.dataset.photos
    return f"[{', '.join(str(photos[i].image_id) for i in indices if i >= 0)}]"


def momentum(model):
    """The first momentum of the optimizer."""
    return model.optimizer.variables[2]


class Meets(keras.callbacks.Callback):
    """Sets a weight to a value before or after one step."""

    def __init__(self, epoch, batch, value, after=False):
        super().__init__()
        self.place, self.value, self.after = (epoch, batch), value, after

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.place and not self.after:
            self.model.layers[0].bias.assign(np.full(4, self.value))

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place and self.after:
            self.model.layers[0].bias.assign(np.full(4, self.value))


def diverging(folder, loader, meets, save_every=None):
    """The message that ends the training."""
    model = compiled(learning_rate=0.125)
    recorder = RunRecorder(folder, loader, save_every=save_every)
    x = np.ones((STEPS, 2))
    with pytest.raises(TrainingDiverged) as error:
        model.fit(
            x,
            np.ones((STEPS, 4)),
            batch_size=1,
            epochs=3,
            verbose=0,
            callbacks=[meets, recorder],
        )
    return str(error.value)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (1e30, "infinite")])
def test_a_loss_that_is_not_finite_ends_the_training_and_says_where(
    tmp_path, loader, value, kind
):
    folder = RunFolder(tmp_path, SETTINGS)
    said = diverging(folder, loader, Meets(1, 2, value))
    assert f"the loss was {kind} after step 6 (batch 2 of epoch 1, all from 0)" in said
    now, before = images(loader, 1, 2), images(loader, 1, 1)
    assert f"images {now}, and before it images {before}, learning rate 0.125" in said
    assert f"The last good checkpoint is {tmp_path}/checkpoint-0001-000000" in said
    assert "lower learning rate" in said


def test_at_the_first_step_there_is_neither_a_step_before_nor_a_checkpoint(
    tmp_path, loader
):
    said = diverging(RunFolder(tmp_path, SETTINGS), loader, Meets(0, 0, np.nan))
    assert f"epoch 0, all from 0), images {images(loader, 0, 0)}, learning" in said
    assert "There is no checkpoint." in said


def test_the_step_before_may_be_of_the_epoch_before(tmp_path, loader):
    said = diverging(RunFolder(tmp_path, SETTINGS), loader, Meets(1, 0, np.nan))
    last = images(loader, 0, STEPS - 1)
    assert f"images {images(loader, 1, 0)}, and before it images {last}" in said


def test_what_fills_a_batch_is_not_named(tmp_path, loader):
    plan = enumerate(loader.batches(0))
    batch, image = next(
        (place, loader.dataset.photos[batch.indices[0]].image_id)
        for place, batch in plan
        if min(batch.indices) < 0
    )
    said = diverging(RunFolder(tmp_path, SETTINGS), loader, Meets(0, batch, np.nan))
    assert f"epoch 0, all from 0), images [{image}], " in said


@pytest.mark.parametrize(
    ("place", "save_every", "step"),
    [((1, 3), None, 7), ((1, 1), 2, 5)],  # before an epoch's checkpoint, and within
)
def test_weights_that_one_step_has_broken_are_not_saved(
    tmp_path, loader, place, save_every, step
):
    folder = RunFolder(tmp_path, SETTINGS)
    said = diverging(folder, loader, Meets(*place, np.nan, after=True), save_every)
    assert "the variable " in said
    assert f"bias was not finite after step {step} (" in said
    assert f"images {images(loader, *place)}, and before" in said
    model = compiled()
    folder.restore(model)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert not list(tmp_path.glob("checkpoint-0002*"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("variable", "value_of"),
    [("bias", lambda model: model.layers[0].bias), ("momentum", momentum)],
)
def test_a_broken_variable_is_not_saved_at_the_end_of_an_epoch(
    tmp_path, loader, variable, value_of, value
):
    recorder, model = RunRecorder(RunFolder(tmp_path, SETTINGS), loader), compiled()
    recorder.set_model(model)
    recorder.on_epoch_begin(0)
    recorder.on_train_batch_end(STEPS - 1)
    broken = value_of(model)  # the optimizer's breaks the weights at the next step
    broken.assign(np.full(broken.shape, value))
    with pytest.raises(TrainingDiverged, match=rf"{variable} was not finite after"):
        recorder.on_epoch_end(0, {"loss": 1.0})
    assert not list(tmp_path.glob("*.keras"))


def test_a_run_that_began_within_an_epoch_names_the_right_step(tmp_path, loader):
    folder = RunFolder(tmp_path, SETTINGS)
    guard = RunRecorder(folder, loader, start_step=STEPS + 2)
    guard.set_model(compiled())
    guard.on_epoch_begin(1)
    guard.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(TrainingDiverged) as error:
        guard.on_train_batch_end(1, {"loss": np.array([np.nan])})
    assert "after step 7 (batch 3 of epoch 1" in str(error.value)
    assert f"images {images(loader, 1, 3)}, and" in str(error.value)
