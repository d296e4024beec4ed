import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from report.test_compared_photos import photo
from training.small_model import compiled
from training.test_run_folder import largest_file

from keras_fpn.data import Dataset

pytestmark = pytest.mark.tensorflow_only


def read(folder):
    """dict of tag -> list of (step, value) in the files of a folder."""
    import tensorflow as tf

    found = {}
    for file in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                tensor = tf.make_ndarray(value.tensor)
                plugin = value.metadata.plugin_data.plugin_name
                found.setdefault(value.tag, []).append((event.step, plugin, tensor))
    return found


def log(folder, **arguments):
    """Two epochs of four steps, the losses 1, 0, 0, ... of one weight."""
    from keras_fpn.training.tensorboard import TensorBoardLog

    x, y = np.ones((4, 2)), np.ones((4, 4))
    with TensorBoardLog(folder, 4, every=2, **arguments) as callback:
        model = compiled(momentum=0.0)
        fit = {"batch_size": 1, "shuffle": False, "verbose": 0}
        history = model.fit(x, y, epochs=2, callbacks=[callback], **fit)
    return history.history["loss"]


def test_losses_of_steps_and_epochs_and_the_rate_are_written(tmp_path):
    losses = log(tmp_path)
    found = read(tmp_path)
    assert sorted(found) == ["epochs/loss", "learning_rate", "steps/loss"]
    assert [step for step, _, _ in found["steps/loss"]] == [2, 4, 6, 8]
    assert [step for step, _, _ in found["epochs/loss"]] == [4, 8]
    assert [v for _, _, v in found["epochs/loss"]] == pytest.approx(losses)
    assert [v for _, _, v in found["learning_rate"]] == pytest.approx([0.1] * 4)
    assert {plugin for _, plugin, _ in found["steps/loss"]} == {"scalars"}


def test_a_run_that_begins_within_an_epoch_counts_on(tmp_path):
    from keras_fpn.training.tensorboard import TensorBoardLog

    x, y = np.ones((3, 2)), np.ones((3, 4))
    with TensorBoardLog(tmp_path, 4, start_step=5, every=1) as callback:
        model = compiled()
        fit = {"batch_size": 1, "shuffle": False, "verbose": 0}
        model.fit(x, y, initial_epoch=1, epochs=2, callbacks=[callback], **fit)
    found = read(tmp_path)
    assert [step for step, _, _ in found["steps/loss"]] == [6, 7, 8]
    assert [step for step, _, _ in found["epochs/loss"]] == [8]


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    from keras_fpn.training.tensorboard import TensorBoardLog

    with TensorBoardLog(tmp_path, 4) as callback:
        callback.on_train_begin()
        logs = {"val_AP": 0.5, "val_AP_small": float("nan")}
        callback.on_epoch_end(0, logs)
    assert list(read(tmp_path)) == ["epochs/val_AP"]


def test_each_epoch_shows_the_same_photos(tmp_path):
    photos = [photo(tmp_path / name, i) for i, name in enumerate(["a.png", "b.png"])]
    dataset = Dataset(photos, ("cat", "dog"), (7, 8))
    found = {"image_id": 0, "bbox": [9, 9, 90, 90], "score": 0.9, "category_id": 7}
    evaluation = SimpleNamespace(
        loader=SimpleNamespace(dataset=dataset), results=[found]
    )
    log(tmp_path / "logs", evaluation=evaluation)
    found = read(tmp_path / "logs")
    tags = [tag for tag in found if tag.startswith("photos/")]
    assert tags == ["photos/0 a.png", "photos/1 b.png"]
    assert [(step, plugin) for step, plugin, _ in found[tags[0]]] == [
        (4, "images"),
        (8, "images"),
    ]
    width, height, encoded = found[tags[0]][0][2]
    picture = Image.open(io.BytesIO(encoded))
    assert picture.size == (int(width), int(height)) == (1008, picture.height)
    truth, own = (np.asarray(picture)[:, half] for half in (np.s_[508:], np.s_[:500]))
    assert (truth != own).any()


def test_a_damaged_photo_is_left_out_and_ends_nothing(tmp_path):
    photos = [photo(tmp_path / name, i) for i, name in enumerate(["a.png", "b.png"])]
    photos[0].path.write_bytes(b"damaged")
    loader = SimpleNamespace(dataset=Dataset(photos, ("cat", "dog"), (7, 8)))
    log(tmp_path / "logs", evaluation=SimpleNamespace(loader=loader, results=[]))
    shown = [tag for tag in read(tmp_path / "logs") if tag.startswith("photos/")]
    assert shown == ["photos/1 b.png"]


def test_a_photos_name_that_is_no_unicode_is_shown_by_its_bytes(tmp_path, monkeypatch):
    from keras_fpn.training import tensorboard

    picture = Image.new("RGB", (8, 8))
    monkeypatch.setattr(tensorboard, "compared_photo", lambda *_: picture)
    shown = photo(tmp_path / "a.png", 0)
    object.__setattr__(shown, "path", tmp_path / "b\udcff.png")  # not on every system
    dataset = Dataset([shown], ("cat", "dog"), (7, 8))
    loader = SimpleNamespace(dataset=dataset)
    log(tmp_path / "logs", evaluation=SimpleNamespace(loader=loader, results=[]))
    assert r"photos/0 b\udcff.png" in read(tmp_path / "logs")


def test_it_needs_nothing_of_the_package_that_shows_the_logs(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # cannot be imported
    assert log(tmp_path)
    assert read(tmp_path)


def test_a_full_disk_ends_the_logs_and_not_the_training(tmp_path):
    said = "Logs for TensorBoard end here; the training continues"
    with largest_file(100), pytest.warns(UserWarning, match=said) as warned:
        losses = log(tmp_path)
    assert len(losses) == 2
    assert len(warned) == 1
