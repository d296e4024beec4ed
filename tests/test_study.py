"""scripts/study.py: its rows, its page, and that it resumes."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.data.segments import mask_segment

SCRIPTS = pathlib.Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import study

    return study


SETTINGS = {"steps": 5, "batch_size": 8, "scenes": 40}


def made(seed, **values):
    """Returns a result as a training gives it."""
    found = {"boxes": [[8, 8, 40, 40]], "labels": [0], "scores": [0.9]}
    return {
        "seed": seed,
        "values": values,
        "shown": [found] * 3,
        "class_names": ["object"],
        "seconds": 30.0,
        "parameters": 1_790_000,
        "backend": "tensorflow",
    }


def test_the_mean_and_the_spread_of_seeds(study):
    from pyramid_study.page import mean_and_spread

    results = [made(seed, AR100=value) for seed, value in enumerate((0.4, 0.6))]
    mean, spread = mean_and_spread(results, "AR100")
    assert mean == pytest.approx(50)
    assert spread == pytest.approx(10 * 2**0.5)  # of a sample: (10^2 + 10^2) / 1
    assert np.isnan(mean_and_spread(results[:1], "AR100")[1])
    assert np.isnan(mean_and_spread(results, "AP")[0])


def test_the_page_holds_every_row_with_its_papers_number(study, tmp_path):
    from pyramid_study.page import objects_by_scale, write_page
    from pyramid_study.rows import TABLES

    numbers = dict.fromkeys((n for table in TABLES for n in table.numbers), 0.25)
    results = {key: [made(0, **numbers)] for key in ("1a", "1c", "3c")}
    scenes = scene_dataset(10, size=(64, 64))
    counts = objects_by_scale(scenes)
    assert counts["small"] > 20 > counts["large"]
    write_page(tmp_path, results, SETTINGS, scenes, "make", "a PC")
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "| C4 alone | 25.0 [36.1] | 25.0 [48.3] |" in text
    assert text.count("| feature pyramid (FPN) |") == 3  # Tables 1 and 3, beside FaPN
    assert "no lateral" not in text  # not trained
    assert f"show {counts['small']} small" in text
    assert "| AR1000_small |" in text
    assert "AR1000_large" not in text  # too few objects
    assert "2 minutes on a PC" in text  # 90 s
    stems = ("1", "3", "fapn")
    pictures = [f"{n}_{it}.png" for n in stems for it in ("by_scale", "scenes")]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == pictures
    assert all(name in text for name in pictures)


def test_every_row_is_built_and_stands_in_a_table(study):
    from pyramid_study.pretrained import small_backbone
    from pyramid_study.rows import TABLES, all_rows

    rows = all_rows()
    assert {key for table in TABLES for key in table.rows} == set(rows)
    for table in TABLES:
        for paper in table.rows.values():
            assert paper is None or len(paper) == len(table.numbers)
    for key in ("1f", "2a", "fapn", "segments-fapn"):
        model = rows[key].build(small_backbone(), ["a", "b"], [1, 2])
        assert (rows[key].given is not None) == ("proposals" in model.input)


def test_masks_are_drawn(study):
    from pyramid_study.page import pictures

    mask = np.zeros((64, 64), bool)
    mask[8:40, 8:40] = True
    plain, masked = made(0), made(0)
    for found in masked["shown"]:
        found["masks"] = [mask_segment(mask)]
    dataset = scene_dataset(1, size=(64, 64))
    drawn = [
        np.asarray(pictures({"segments-fpn": [result]}, dataset))
        for result in (plain, masked)
    ]
    assert drawn[0].shape == drawn[1].shape
    assert (drawn[0] != drawn[1]).any()


def test_results_are_added_to_those_of_the_same_settings(study, tmp_path):
    results = {"1c": [made(0, AR100=0.4), made(1, AR100=0.5)], "1a": [made(0)]}
    scenes = scene_dataset(3, size=(64, 64))
    file = tmp_path / study.RESULTS
    assert study.earlier_results(file, SETTINGS) == {}
    study.write(tmp_path, results, SETTINGS, scenes, "make", "a PC")
    assert study.earlier_results(file, SETTINGS) == results
    with pytest.raises(ValueError, match=r"'steps': 6.*received.*'steps': 5"):
        study.earlier_results(file, {**SETTINGS, "steps": 6})


def test_each_shape_is_one_class(study):
    scenes = scene_dataset(3, size=(64, 64))
    shapes = study.by_shape(scenes)
    for before, after in zip(scenes.photos, shapes.photos, strict=True):
        for one, other in zip(before.objects.labels, after.objects.labels, strict=True):
            assert shapes.class_names[other] in scenes.class_names[one]
        np.testing.assert_array_equal(before.objects.boxes, after.objects.boxes)


def test_each_object_is_a_picture_of_its_own(study, tmp_path):
    from pyramid_study.pretrained import object_pictures

    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:40] = 200  # an object with its margin of an eighth fills 0.8
    path = tmp_path / "scene.png"
    Image.fromarray(pixels).save(path)
    objects = Objects([[20, 10, 40, 30], [50, 0, 60, 10]], [3, 1], [False, False])
    photo = Photo(1, path, 40, 60, objects)
    shown, labels = object_pictures(Dataset((photo,), list("abcd"), [1, 2, 3, 4]))
    assert shown.shape == (2, 64, 64, 3)
    assert labels.tolist() == [3, 1]
    covered = shown[0, ..., 0] > 100
    rows, columns = covered.any(1).nonzero()[0], covered.any(0).nonzero()[0]
    for places in (rows, columns):
        assert len(places) == pytest.approx(64 / 1.25, abs=3)
        assert places[0] + places[-1] == pytest.approx(63, abs=3)
    assert not shown[1].any()


def test_seconds_add_up_over_interruptions(study, tmp_path, monkeypatch):
    from pyramid_study import trained

    clock = iter([10.0, 13.0, 100.0, 104.5])
    monkeypatch.setattr(trained.time, "perf_counter", lambda: next(clock))
    file = tmp_path / "seconds.txt"
    with pytest.raises(KeyboardInterrupt):
        with trained.adding_seconds(file):
            raise KeyboardInterrupt
    with trained.adding_seconds(file) as seconds:
        pass
    assert seconds() == 3 + 4.5


def test_the_page_says_the_command_that_was_given(study, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    argv = ["--output", "zoo/study", "--machine", "one GPU"]
    expected = "python scripts/study.py --output zoo/study --machine 'one GPU'"
    assert study.command_of(argv) == f"KERAS_BACKEND=jax {expected}"


@pytest.mark.ci
def test_the_study_trains_resumes_and_writes_its_page(
    study, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(study, "TEST_SCENES", 8)
    argv = ["--output", str(tmp_path), "--work", str(tmp_path / "work")]
    argv += ["--steps", "2", "--scenes", "16"]
    # Row 2c takes the proposals of 1c, which is trained without being named.
    argv += ["--rows", "2c", "segments-fpn", "--seeds", "1"]
    assert study.main(argv) == 0
    first = (tmp_path / "README.md").read_text("utf-8")
    contents = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert contents["settings"] == {"steps": 2, "batch_size": 8, "scenes": 16}
    assert set(contents["results"]) == {"2c", "segments-fpn"}
    [result] = contents["results"]["segments-fpn"]
    assert 0 <= result["values"]["AR1000"] <= 1
    assert study.main(argv) == 0  # nothing is trained again: the page stays the same
    assert (tmp_path / "README.md").read_text("utf-8") == first
    assert capsys.readouterr().out.count("2c 0") == 1
