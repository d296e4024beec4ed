import json

import pytest
from training.small_model import SETTINGS

from keras_fpn.training import NumberedFolders
from keras_fpn.training.run_folder import RunFolder

OTHER = {**SETTINGS, "epochs": 7}


@pytest.fixture
def folders(tmp_path):
    return NumberedFolders(tmp_path / "runs" / "x")


def begun(folder, settings):
    """A training that was begun in a folder, and interrupted."""
    RunFolder(folder, settings)
    return folder


def test_the_first_training_gets_the_first_folder_and_creates_nothing(folders):
    assert folders.folder_of(SETTINGS) == folders.first
    assert not folders.first.parent.exists()


def test_an_interrupted_training_is_resumed_where_it_is(folders, tmp_path):
    first = begun(folders.folder_of(SETTINGS), SETTINGS)
    second = begun(folders.folder_of(OTHER), OTHER)
    assert [first.name, second.name] == ["x", "x2"]
    assert folders.folder_of(SETTINGS) == first
    assert folders.folder_of(OTHER) == second
    assert folders.folder_of({**SETTINGS, "epochs": 8}).name == "x3"


def test_a_complete_training_is_left_alone(folders):
    first = begun(folders.folder_of(SETTINGS), SETTINGS)
    (first / "last.keras").touch()
    second = begun(folders.folder_of(SETTINGS), SETTINGS)
    assert second.name == "x2"
    assert folders.folder_of(SETTINGS) == second
    (second / "last.keras").touch()
    assert folders.folder_of(SETTINGS).name == "x3"


def test_a_training_without_its_last_file_is_completed(folders):
    folders = NumberedFolders(folders.first, "evaluation/metrics.json")
    first = begun(folders.first, SETTINGS)
    (first / "last.keras").touch()
    assert folders.folder_of(SETTINGS) == first
    (first / "evaluation").mkdir()
    (first / "evaluation" / "metrics.json").touch()
    assert folders.folder_of(SETTINGS).name == "x2"


def a_file(path):
    path.write_text("no folder")


def something_else(path):
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


def damaged(path):
    begun(path, SETTINGS)
    (path / "run.json").write_text('{"settings":')


def no_object(path):
    begun(path, SETTINGS)
    (path / "run.json").write_text("[1]")


def of_another_format(path):
    begun(path, SETTINGS)
    run = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**run, "format": 3}))


@pytest.mark.parametrize(
    "make", [a_file, something_else, damaged, no_object, of_another_format]
)
def test_what_cannot_be_resumed_is_passed_over(folders, make):
    folders.first.parent.mkdir()
    make(folders.first)
    assert folders.folder_of(SETTINGS).name == "x2"


def test_what_a_killed_process_left_does_not_matter(folders):
    folders.first.mkdir(parents=True)
    for name in (".lock", ".run.json.partial"):
        (folders.first / name).touch()
    assert folders.folder_of(SETTINGS) == folders.first
