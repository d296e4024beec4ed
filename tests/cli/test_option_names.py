"""Messages name options on the command line, and arguments in Python.

The library puts an argument that its reader is to give into backticks, and the command
line has its option there (`keras_fpn.cli.errors.OPTIONS`).
"""

import argparse
import ast
import functools
import pathlib
import re

import pytest
from cli import calling
from data import tiny_layouts
from data.tiny_layouts import coco, cvat, labelme
from data.tiny_sets import write, write_photo

import keras_fpn
from keras_fpn.cli import data, evaluate, finetune, train
from keras_fpn.cli.errors import OPTIONS, CommandError, reported, with_options
from keras_fpn.data import open_dataset

FOLDERS = ("data", "training", "metrics", "preprocessing", "distribute", "report")
# Their messages are about arguments that only a program can have given.
OF_PROGRAMS = {
    "copy_paste.py",
    "sample.py",
    "pydataset.py",
    "dataset.py",
    "callback.py",
    "devices.py",
    "augmented_photos.py: A photo could not",
    "yolo.py: split must be one of",
    "check.py: A data set must have no defects where strict",
    "resize.py: An image to resize",
}
RECEIVED = re.compile(r"received .*?(\. |$)")  # what was given, up to the remedy


def message_of(call):
    """The text of a raised exception, "{}" where something is formatted into it."""
    parts = [
        part.value if isinstance(part, ast.Constant) else "{}"
        for argument in call.args[:1]
        for part in getattr(argument, "values", [argument])
    ]
    return "".join(part for part in parts if isinstance(part, str))


def library_messages():
    """All messages in FOLDERS, pairs of "file: text" and text."""
    root = pathlib.Path(keras_fpn.__file__).parent
    for path in (path for folder in FOLDERS for path in (root / folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                text = message_of(node.exc)
                yield f"{path.name}: {text}", text


def faults(text):
    """What of a message means nothing on the command line, list of str."""
    asked = re.sub(r"`\w+`", "", RECEIVED.sub("", text))
    found = [name for name in re.findall(r"`(\w+)`", text) if name not in OPTIONS]
    found += re.findall(r"\b[a-z_]+=(?!=)", asked)  # Pass labels=...
    found += re.findall(r"\bclass_names\b", asked)
    return found + re.findall(r"^(?:images|split) must|Pass (?:images|split)\b", asked)


@pytest.mark.parametrize(
    "text",
    [
        "A CSV without boxes needs class_names; received path={}.",
        "The photos must exist; received path={}. Pass their folder: images=...",
        "split must be a list; received split={}.",
        "The PNGs must be in a folder; received path={}. Pass it: labels=...",
        "Photos must have masks; received {} without. Pass masks=False.",
        "Photos must have masks; received {} without. Pass `masks`.",
        "There must be no defect; received {}. Read without strict=True.",
    ],
)
def test_names_of_arguments_are_found_in_a_message(text):
    assert len(faults(text)) >= 1


def test_no_message_asks_for_an_argument_that_no_command_has():
    found = dict(library_messages())
    assert len(found) > 200
    allowed = tuple(OF_PROGRAMS)
    wrong = {k: faults(v) for k, v in found.items() if not k.startswith(allowed)}
    assert {name: words for name, words in wrong.items() if words} == {}
    unused = [a for a in allowed if not any(k.startswith(a) for k in found)]
    assert unused == []


def test_every_command_that_reads_data_has_the_options():
    commands = argparse.ArgumentParser().add_subparsers()
    parsers = [module.add_parser(commands) for module in (evaluate, finetune, train)]
    (actions,) = (
        action
        for action in data.add_parser(commands)._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    parsers += [actions.choices[name] for name in ("check", "look")]
    for parser in parsers:
        assert set(OPTIONS.values()) <= set(parser._option_string_actions)


def test_options_take_the_place_of_arguments_in_backticks_alone():
    text = "`split` must be one; received split='`x y`' of split. Pass `other`."
    expected = "--split must be one; received split='`x y`' of split. Pass `other`."
    assert with_options(text, OPTIONS) == expected
    assert with_options(text, {}) == text
    with (
        pytest.raises(CommandError, match=r"^--val-split must"),
        reported(ValueError, options={"split": "--val-split"}),
    ):
        raise ValueError(text)


def csv_without_boxes(root):
    write_photo(root / "a.jpg")
    return write(root / "boxes.csv", "a.jpg,,,,,\n")


def cvat_without_labels(root):
    write_photo(root / "a.jpg")
    image = '<image id="1" name="a.jpg" width="100" height="80"></image>'
    return write(root / "annotations.xml", cvat([image], names=()))


def labelme_without_shapes(root):
    write_photo(root / "a.jpg")
    return write(root / "a.json", labelme("a", shapes=[]))


def voc_without_objects(root):
    write_photo(root / "JPEGImages/a.jpg")
    write(
        root / "Annotations/a.xml",
        "<annotation><filename>a.jpg</filename><size><width>100</width>"
        "<height>80</height><depth>3</depth></size></annotation>",
    )
    return root


def yolo_without_names(root):
    root = tiny_layouts.label_studio(root)
    (root / "classes.txt").unlink()
    return root


def semantic_without_names(root):
    write_photo(root / "images/a.jpg")
    write_photo(root / "semantic/a.png")
    return root


WITHOUT_CLASSES = [
    csv_without_boxes,
    cvat_without_labels,
    labelme_without_shapes,
    voc_without_objects,
    yolo_without_names,
    semantic_without_names,
]


@pytest.mark.parametrize("make", WITHOUT_CLASSES, ids=lambda make: make.__name__)
def test_who_must_name_classes_is_told_how(tmp_path, make):
    path = make(tmp_path / "set")
    with pytest.raises(ValueError, match="`class_names`"):
        open_dataset(path, report=None)
    for command in (["data", "check"], ["finetune"], ["evaluate"]):
        code, _, err = calling.called(*command, path, *output(command, tmp_path))
        assert code == 2
        assert "--classes" in err
        assert "class_names" not in err


def output(command, folder):
    return [] if command[0] == "data" else ["--output", folder / "out"]


def test_who_must_name_the_folder_of_the_photos_is_told_how(tmp_path):
    file = write(tmp_path / "a/b/set.json", coco(["a.jpg"]))
    for command in (["data", "check"], ["finetune"], ["evaluate"]):
        argv = [*command, file, *output(command, tmp_path)]
        assert "Pass their folder: --images." in calling.called(*argv)[2]
        argv += ["--images", tmp_path / "nowhere"]
        assert "--images must be a folder" in calling.called(*argv)[2]


def test_of_two_data_sets_the_options_of_the_wrong_one_are_named(tmp_path):
    root = tiny_layouts.roboflow_coco(tmp_path / "set")
    finetuned = functools.partial(calling.called, "finetune", root)
    assert "error: --split must be part" in finetuned("--split", "trian")[2]
    error = finetuned("--val-split", "vall")[2]
    assert "error: Data to measure on: --val-split must be part" in error
    alone = write(tmp_path / "a/b/set.json", coco(["a.jpg"]))
    error = finetuned("--val", alone)[2]
    assert "Data to measure on: " in error
    assert "Pass their folder: --val-images." in error
    error = finetuned("--val", alone, "--val-split", "x")[2]
    assert "--val-split must be left out" in error
    absent = finetuned("--val", root / "train", "--val-images", tmp_path / "absent")[2]
    assert "--val-images must be a folder" in absent
    assert "finetune" not in absent
