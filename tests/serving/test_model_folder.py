import json
import re

import pytest

from keras_fpn.serving.model_folder import find_version
from keras_fpn.visualize import class_color


def version_of(folder, number):
    path = folder / str(number) if number else folder
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"")
    return path


def test_the_newest_complete_version_is_served(tmp_path):
    model = tmp_path / "mine"
    for number in (2, 10, 9):
        version_of(model, number)
    (model / "11").mkdir()  # without a model
    (model / ".12.77.partial").mkdir()
    found = find_version(model)
    assert (found.path, found.name, found.version) == (model / "10", "mine", 10)


def test_a_version_can_be_given_and_a_folder_without_versions(tmp_path):
    path = version_of(tmp_path / "mine", 3)
    version_of(tmp_path / "mine", 4)
    found = find_version(path)
    assert (found.path, found.name, found.version) == (path, "mine", 3)
    path = version_of(tmp_path / "plain", None)
    found = find_version(path)
    assert (found.path, found.name, found.version) == (path, "plain", 1)


def test_the_folder_has_its_own_name_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(version_of(tmp_path / "mine", 3))
    assert find_version(".").name == "mine"
    assert find_version("..").version == 3
    assert find_version("..", "other").name == "other"


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a?b"])
def test_a_name_must_fit_into_an_address(tmp_path, name):
    version_of(tmp_path, 1)
    shown = re.escape(f"received name={name!r}")
    with pytest.raises(ValueError, match=f"{shown}.*--name"):
        find_version(tmp_path, name)


def test_without_a_model_there_is_nothing_to_serve(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match=f"model.pb; received '{folder}'"):
            find_version(folder)


def test_classes_have_the_colors_of_pictures(tmp_path):
    path = version_of(tmp_path, 1) / "assets.extra"
    assert find_version(tmp_path).classes() == []
    path.mkdir()
    classes = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
    (path / "classes.json").write_text(json.dumps(classes))
    color = "#{:02x}{:02x}{:02x}".format(*class_color(1))
    assert find_version(tmp_path).classes()[1] == {**classes[1], "color": color}


def test_a_map_has_the_classes_of_objects_or_things_and_stuff(tmp_path):
    path = version_of(tmp_path, 1) / "assets.extra"
    path.mkdir()
    classes = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
    (path / "classes.json").write_text(json.dumps(classes))
    folder = find_version(tmp_path)
    assert folder.pixel_classes() == folder.classes()
    (path / "stuff.json").write_text('[{"id": 92, "name": "sky"}]')
    things, sky = folder.pixel_classes()
    assert things == {"name": "things", "color": None}
    # As in pictures of panoptic maps: after the colors of things.
    color = "#{:02x}{:02x}{:02x}".format(*class_color(2))
    assert sky == {"name": "sky", "color": color}


@pytest.mark.parametrize(
    "text",
    ["", "3", "[3]", '[{"id": 1}]', '[{"id": "x"}]', "[" * 9999, '[{"id": 1e999}]'],
)
def test_damaged_classes_are_named(tmp_path, text):
    path = version_of(tmp_path, 1) / "assets.extra"
    path.mkdir()
    (path / "classes.json").write_text(text)
    with pytest.raises(ValueError, match=r"ids and names; received .*classes\.json"):
        find_version(tmp_path).classes()


def test_damaged_stuff_is_named(tmp_path):
    path = version_of(tmp_path, 1) / "assets.extra"
    path.mkdir()
    (path / "stuff.json").write_text('[{"id": 92}]')
    with pytest.raises(ValueError, match=r"ids and names; received .*stuff\.json"):
        find_version(tmp_path).pixel_classes()
