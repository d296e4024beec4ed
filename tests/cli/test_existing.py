import pytest
from cli.test_parser import refusal

from keras_fpn.cli.existing import path_or_name


@pytest.mark.parametrize(
    ("argv", "received"),
    [
        ("finetune {}/dat", "DATASET: must be an existing file or folder; received "),
        ("finetune {0}/data --val {0}/dat", "--val: must be an existing file"),
        ("train r.py {}/dat", "DATASET: must be"),
        ("evaluate {}/dat", "DATASET: must be"),
        ("detect a.jpg --weights {}/dat", "--weights: must be"),
        ("evaluate {0}/data --weights {0}/dat", "--weights: must be"),
        ("finetune {0}/data --weights {0}/dat", "--weights: must be"),
        ("export {}/dat out", "PRESET|FILE: must be"),
        ("export small out --weights {}/dat", "--weights: must be"),
        ("serve {}/dat", "MODEL: must be"),
    ],
)
def test_a_path_that_does_not_exist_is_said_at_once(capsys, tmp_path, argv, received):
    (tmp_path / "data").mkdir()
    said = refusal(capsys, *argv.format(tmp_path).split())
    assert received in said
    assert said.endswith(f"/dat'. Did you mean {tmp_path}/data?")


@pytest.mark.parametrize("name", ["random", "coco", "hf://someone/model", "a_preset"])
def test_names_are_no_paths(name):
    assert path_or_name(name) == name


def test_a_command_is_named_if_there_is_none(capsys):
    assert refusal(capsys).startswith("keras-fpn: error: name a command: detect, ")
    assert "check" in refusal(capsys, "data")
