import shutil
import zipfile

import keras
import numpy as np
import pytest
from full_disk import largest_file
from models.tiny import tiny_detector
from training.small_model import SETTINGS, compiled, compiled_by_parts, fill, state_of

from keras_fpn.cli.load_detector import load_detector
from keras_fpn.training.checkpoints import averages
from keras_fpn.training.run_folder import Position, RunFolder


def saved_run(path, *positions):
    """A folder with a checkpoint at each position, filled with 10, 20, ..."""
    folder, model = RunFolder(path, SETTINGS), compiled()
    for place, position in enumerate(positions):
        fill(model, 10 * (place + 1))
        folder.save(model, Position(*position))
    return folder


def restored(path):
    """The position from which a new process resumes, and the first value."""
    folder, model = RunFolder(path, SETTINGS), compiled()
    position = folder.restore(model)
    return position, float(state_of(model)[0].flat[0])


def names(path):
    return sorted(file.name for file in path.iterdir() if file.name != ".lock")


def test_a_folder_that_was_removed_meanwhile_is_not_made_again(tmp_path):
    path = tmp_path / "run"
    folder, model = RunFolder(path, SETTINGS), compiled()
    folder.save(model, Position(0, 1))
    shutil.rmtree(path)
    for write in (
        lambda: folder.save(model, Position(0, 2)),
        lambda: folder.save_best(model, 0.5),
        lambda: folder.add_epoch(0, {"loss": 1.0}),
        lambda: folder.finish(model),
    ):
        with pytest.raises(OSError, match=r"received .*run, from which run\.json was"):
            write()
        assert not path.exists()


def test_a_new_run_starts_at_the_first_step(tmp_path):
    model = compiled()
    before = state_of(model)
    folder = RunFolder(tmp_path / "new" / "run", SETTINGS)
    assert folder.restore(model) == Position(0, 0)
    assert folder.newest is None
    for value, expected in zip(state_of(model), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert names(folder.path) == ["run.json"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"use_ema": True, "ema_momentum": 0.5},
        {"gradient_accumulation_steps": 2},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 10)},
    ],
)
def test_all_of_the_optimizer_comes_back(tmp_path, arguments):
    model = compiled(**arguments)
    model.fit(np.eye(2), np.ones((2, 4)), epochs=3, batch_size=1, verbose=0)
    RunFolder(tmp_path, SETTINGS).save(model, Position(1, 7))
    again = compiled(**arguments)
    assert RunFolder(tmp_path, SETTINGS).restore(again) == Position(1, 7)
    values, expected = state_of(again), state_of(model)
    assert len(values) == len(expected) > 4
    for value, former in zip(values, expected, strict=True):
        assert value.tobytes() == former.tobytes()


def test_several_optimizers_come_back_with_their_averages(tmp_path):
    model = compiled_by_parts()
    model.fit(np.eye(2), np.ones((2, 4)), epochs=3, batch_size=1, verbose=0)
    folder = RunFolder(tmp_path, SETTINGS)
    folder.save(model, Position(1, 7))
    again = compiled_by_parts()
    RunFolder(tmp_path, SETTINGS).restore(again)
    values, expected = state_of(again), state_of(model)
    assert len(values) == len(expected) > 10
    for value, former in zip(values, expected, strict=True):
        assert value.tobytes() == former.tobytes()


def test_the_optimizer_is_built_if_it_is_not(tmp_path):
    model = compiled()
    fill(model, 3)
    RunFolder(tmp_path, SETTINGS).save(model, Position(1))
    again = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    again.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    RunFolder(tmp_path, SETTINGS).restore(again)
    for value, expected in zip(state_of(again), state_of(model), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    # Epoch 10 comes after epoch 9, and batch 4 before batch 20.
    folder = saved_run(tmp_path, (9, 0), (9, 4), (9, 20), (10, 0))
    assert names(tmp_path) == [
        "checkpoint-0009-000020.keras",
        "checkpoint-0010-000000.keras",
        "run.json",
    ]
    assert folder.newest == tmp_path / "checkpoint-0010-000000.keras"
    assert restored(tmp_path) == (Position(10, 0), 40.0)


def test_a_checkpoint_is_a_model_that_keras_loads(tmp_path):
    folder = saved_run(tmp_path, (1, 0))
    loaded = keras.models.load_model(folder.newest)
    np.testing.assert_array_equal(loaded.get_weights()[0], np.full((2, 4), 10.0))
    assert loaded.optimizer is not None


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def with_state(state):
    """Returns a function that replaces the state in a checkpoint, all else intact."""

    def damage(path):
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (members | {"training_state.json": state}).items():
                archive.writestr(name, content)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_half,
        flip_a_byte,
        empty,
        with_state(""),
        with_state("[]"),
        with_state("{}"),
        with_state("[" * 100_000),
        with_state('{"epoch": "1", "batch": 0, "best_value": null, "metrics": []}'),
        with_state('{"epoch": 1, "batch": -1, "best_value": null, "metrics": []}'),
        with_state('{"epoch": 1, "batch": 0, "best_value": "a", "metrics": []}'),
        with_state('{"epoch": 1, "batch": 0, "best_value": null, "metrics": null}'),
    ],
)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    damage(saved_run(tmp_path, (1, 0), (2, 0)).newest)
    with pytest.warns(UserWarning, match="is damaged") as warned:
        assert restored(tmp_path) == (Position(1, 0), 10.0)
    [said] = [str(one.message) for one in warned if one.category is UserWarning]
    assert said.startswith(f"{tmp_path}/checkpoint-0002-000000.keras is damaged (")
    assert said.endswith("): resuming from checkpoint-0001-000000.keras.")


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[3]", '[{"epoch": "0"}]', "[" * 100_000, "7" * 5000]
)
def test_a_damaged_history_is_said_and_the_run_resumes(tmp_path, text):
    saved_run(tmp_path, (1, 0)).add_epoch(0, {"loss": 1.0})
    (tmp_path / "history.json").write_text(text)
    with pytest.warns(UserWarning, match=r"history.*history\.json.* resumes without"):
        folder = RunFolder(tmp_path, SETTINGS)
    assert folder.restore(compiled()) == Position(1, 0)
    folder.add_epoch(1, {"loss": 0.5})
    assert folder.epochs == [{"epoch": 1, "loss": 0.5}]


def test_the_run_resumes_after_a_fallback_and_drops_the_damaged_one(tmp_path):
    flip_a_byte(saved_run(tmp_path, (1, 0), (2, 0), (3, 0)).newest)
    folder, model = RunFolder(tmp_path, SETTINGS), compiled()
    with pytest.warns(UserWarning, match="0003-000000.keras is damaged"):
        folder.restore(model)
    folder.save(model, Position(2, 5))  # before the damaged one's position
    assert names(tmp_path) == [
        "checkpoint-0002-000000.keras",
        "checkpoint-0002-000005.keras",
        "run.json",
    ]


def test_without_an_intact_checkpoint_the_run_is_refused(tmp_path):
    folder = saved_run(tmp_path, (1, 0), (2, 0))
    for path in tmp_path.glob("checkpoint-*"):
        cut_in_half(path)
    with pytest.raises(ValueError, match="needs one intact checkpoint") as e:
        folder.restore(compiled())
    assert str(e.value).count("is damaged (") == 2
    assert "checkpoint-0001-000000.keras" in str(e.value)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    saved_run(tmp_path, (1, 0))
    folder = RunFolder(tmp_path, SETTINGS)
    with pytest.raises(ValueError, match=r"variables of this model.*000000\.keras"):
        folder.restore(compiled(units=5))
    # Keras only warns when the optimizer has more or fewer variables.
    with pytest.raises(ValueError, match="Skipping variable loading for optimizer"):
        folder.restore(compiled(use_ema=True))


def test_best_is_replaced_by_better_ones_only(tmp_path):
    folder, model = RunFolder(tmp_path, SETTINGS), compiled()
    assert not folder.save_best(model, float("nan"))
    assert not folder.best.exists()
    saved = []
    for place, value in enumerate([0.2, 0.1, float("nan"), 0.2, 0.3]):
        fill(model, place)
        saved.append(folder.save_best(model, value))
    assert saved == [True, False, False, False, True]
    assert folder.best_value == 0.3
    best = keras.models.load_model(folder.best)
    np.testing.assert_array_equal(best.get_weights()[0], np.full((2, 4), 4.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_without_a_finite_number_the_last_model_is_the_result(tmp_path, value):
    folder, model = RunFolder(tmp_path, SETTINGS), compiled()
    assert not folder.save_best(model, value)
    folder.finish(model)
    assert folder.result == folder.last
    assert folder.save_best(model, -1.0)
    assert folder.result == folder.best


def test_the_best_model_of_an_epoch_that_is_trained_again_is_removed(tmp_path):
    folder, model = RunFolder(tmp_path / "killed", SETTINGS), compiled()
    folder.save_best(model, 0.4)  # and is killed before the first checkpoint
    del folder
    again = RunFolder(tmp_path / "killed", SETTINGS)
    assert again.restore(model) == Position(0, 0)
    assert again.result == again.last
    assert names(again.path) == ["run.json"]
    # Of an epoch after a checkpoint, when none before was measured.
    folder = saved_run(tmp_path / "later", (1, 0))
    folder.save_best(model, 0.4)
    del folder
    again = RunFolder(tmp_path / "later", SETTINGS)
    assert again.restore(model) == Position(1, 0)
    assert names(again.path) == ["checkpoint-0001-000000.keras", "run.json"]
    # A worker that does not write leaves the file to the chief.
    again.save_best(model, 0.4)
    RunFolder(again.path, SETTINGS, writes=False).restore(model)
    assert again.best.is_file()


def test_a_resumed_run_knows_its_best_value_while_the_file_is_there(tmp_path):
    folder, model = RunFolder(tmp_path, SETTINGS), compiled()
    folder.save_best(model, 0.4)
    folder.save(model, Position(1))
    again = RunFolder(tmp_path, SETTINGS)
    again.restore(model)
    assert again.best_value == 0.4
    assert not again.save_best(model, 0.3)
    folder.best.unlink()
    again = RunFolder(tmp_path, SETTINGS)
    again.restore(model)
    assert again.best_value is None


def test_best_and_last_hold_the_averages_and_no_optimizer(tmp_path):
    model = compiled(use_ema=True)
    fill(model, 1)
    averaged = [average for _, average in averages(model)]
    expected = [np.array(keras.ops.convert_to_numpy(value)) for value in averaged]
    before = state_of(model)
    folder = RunFolder(tmp_path, SETTINGS)
    folder.save_best(model, 0.5)
    for value, former in zip(state_of(model), before, strict=True):
        assert value.tobytes() == former.tobytes()
    assert not folder.finished
    folder.finish(model)
    assert folder.finished
    for path in (folder.best, folder.last):
        loaded = keras.models.load_model(path)
        assert not loaded.compiled
        for value, average in zip(loaded.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(value, average)
    assert model.compiled
    np.testing.assert_array_equal(model.get_weights()[0], expected[0])
    assert folder.best.stat().st_size < 0.8 * _checkpoint_size(folder, model)


def _checkpoint_size(folder, model):
    folder.save(model, Position(1))
    return folder.newest.stat().st_size


def test_detect_takes_the_best_model(tmp_path):
    model = tiny_detector()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True))
    model.training_step.assign(7)
    folder = RunFolder(tmp_path, SETTINGS)
    model.optimizer.build(model.trainable_variables)
    for weight, average in averages(model):
        average.assign(weight)
    folder.save_best(model, 0.5)
    loaded, _ = load_detector(weights=str(folder.best))
    assert loaded.class_names == model.class_names
    assert int(loaded.training_step) == 7
    for value, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_full_disk_while_saving_loses_nothing_and_is_said(tmp_path):
    folder, model = RunFolder(tmp_path, SETTINGS), compiled(units=20000)
    with (
        largest_file(50_000),
        pytest.raises(OSError, match="Intact is nothing, because no"),
    ):
        folder.save(model, Position(1))
    folder.save_best(model, 0.5)
    fill(model, 1)
    folder.save(model, Position(1))
    before, content = names(tmp_path), folder.best.read_bytes()
    fill(model, 2)
    with largest_file(50_000):
        with pytest.raises(OSError, match="must be able to write") as error:
            folder.save(model, Position(2))
        with pytest.raises(OSError, match=r"write .*best\.keras"):
            folder.save_best(model, 0.6)
    said = str(error.value)
    # 120000 numbers of 4 bytes: kernel and bias, and their momentum.
    assert f"{tmp_path}/checkpoint-0002-000000.keras, about 0.5 MB" in said
    assert "File too large" in said
    assert "MB free" in said
    assert f"Intact is {tmp_path}/checkpoint-0001-000000.keras. Make room" in said
    assert names(tmp_path) == before
    assert folder.best.read_bytes() == content
    assert folder.best_value == 0.5
    again = compiled(units=20000)
    assert RunFolder(tmp_path, SETTINGS).restore(again) == Position(1)
    assert state_of(again)[0].flat[0] == 1
    folder.save(model, Position(2))  # once there is room again


def test_a_worker_that_does_not_write_restores_all_the_same(tmp_path):
    chief, model = saved_run(tmp_path, (1, 3)), compiled()
    before = names(tmp_path)
    worker = RunFolder(tmp_path, {"other": "settings"}, writes=False)
    assert worker.restore(model) == Position(1, 3)
    assert state_of(model)[0].flat[0] == 10
    worker.save(model, Position(2))
    assert worker.save_best(model, 0.5)
    worker.finish(model)
    assert names(tmp_path) == before
    assert chief.newest is not None
