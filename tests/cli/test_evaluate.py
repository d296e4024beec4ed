import json
import os
import sys

import numpy as np
import pytest
from cli.calling import script_called
from PIL import Image

from keras_fpn import cli
from keras_fpn.cli import evaluate
from keras_fpn.report import extra

FILES = ["detections.json", "index.html", "metrics.json"]


@pytest.fixture
def coco(tmp_path):
    """A COCO file of two photos; the fake detector finds the dog exactly."""
    for name, size in (("a.png", (50, 40)), ("b.png", (30, 20))):
        Image.new("RGB", size, (90, 60, 30)).save(tmp_path / name)
    contents = {
        "images": [
            {"id": 5, "file_name": "a.png", "width": 50, "height": 40},
            {"id": 4, "file_name": "b.png", "width": 30, "height": 20},
        ],
        "categories": [{"id": 1, "name": "bird"}, {"id": 7, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 7, "bbox": [0, 0, 49, 40]},
            {"id": 2, "image_id": 5, "category_id": 1, "bbox": [5, 5, 10, 10]},
        ],
    }
    for annotation in contents["annotations"]:
        annotation |= {"area": 1000, "iscrowd": 0}
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(contents))
    return path


@pytest.fixture
def fake(detector, monkeypatch):
    """The detector that `keras-fpn evaluate` gets; the options it was asked with."""

    def load_detector(preset, weights):
        detector.asked = preset, weights
        return detector, None if weights is None else f"{weights} weights"

    monkeypatch.setattr(evaluate, "load_detector", load_detector)
    return detector


def test_a_photos_name_that_is_no_unicode_loses_no_results(
    coco, tmp_path, fake, odd_name
):
    os.rename(tmp_path / "a.png", tmp_path / odd_name)
    contents = json.loads(coco.read_text())
    contents["images"][0]["file_name"] = odd_name
    contents["categories"][0]["name"] = "bird\udcff"
    coco.write_text(json.dumps(contents))
    out = tmp_path / "out"
    assert cli.main(["evaluate", str(coco), "--output", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert r"b\udcff.png" in (out / "index.html").read_text("utf-8")
    measured = json.loads((out / "metrics.json").read_text("utf-8"))
    assert "bird\udcff" in json.dumps(measured, ensure_ascii=False)


def test_evaluate_prints_the_table_and_writes_all(coco, tmp_path, capsys, fake):
    out = tmp_path / "new" / "out"
    assert cli.main(["evaluate", str(coco), "--output", str(out)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    name = "faster_rcnn_resnet50_fpn_coco on boxes"
    assert lines[0] == f"{name}: 2 photos, 2 objects, 2 detections; values in %"
    # The dog is found, but of two equal scores the first is in image 4: precision 1/2
    # of dogs, 0 of birds. The wrong dog is small, so it does not count among medium.
    assert lines[2].split()[:3] == ["AP", "AP50", "AP75"]
    assert lines[3].split() == ["25.0", "25.0", "25.0", "0.0", "100.0", "-"]
    assert ["bird", "1", "0", "0.0"] in [line.split()[:4] for line in lines]
    assert ["dog", "1", "2", "50.0"] in [line.split()[:4] for line in lines]
    assert "Note: The model does not know bird: their AP is 0." in lines
    assert lines[-1] == f"In {out}: detections.json, metrics.json, index.html"
    assert sorted(path.name for path in out.iterdir()) == FILES
    written = json.loads((out / "metrics.json").read_text())
    assert written["boxes"]["values"]["AP"] == pytest.approx(0.25)
    assert written["proposals"] is None
    assert json.loads((out / "detections.json").read_text())[0] == {
        "image_id": 5,
        "category_id": 7,
        "bbox": [0, 0, 49, 40],
        "score": 0.9,
    }
    page = (out / "index.html").read_text("utf-8")
    assert "Evaluation on boxes" in page
    assert page.count("data:image/jpeg;base64,") == 2  # the wrong dog, the missed bird


def test_evaluate_says_which_weights(coco, tmp_path, capsys, fake):
    argv = ["evaluate", str(coco), "--output", str(tmp_path / "out")]
    assert cli.main([*argv, "--preset", "small", "--weights", "random"]) == 0
    assert fake.asked == ("small", "random")
    printed = capsys.readouterr().out
    assert printed.startswith("small on boxes: ")
    assert "Note: random weights." in printed
    best = tmp_path / "best.keras"
    best.touch()
    assert cli.main([*argv, "--weights", str(best)]) == 0
    assert capsys.readouterr().out.startswith("best.keras on boxes: ")


def test_proposals_are_measured_if_asked_for(coco, tmp_path, capsys, fake, monkeypatch):
    def proposing(model):
        return lambda photo: (np.array([[0.0, 0, 49, 40]]), np.array([0.5]))

    monkeypatch.setattr("keras_fpn.metrics.evaluation.proposing", proposing)
    out = tmp_path / "out"
    argv = ["evaluate", str(coco), "--output", str(out), "--proposal-recall"]
    assert cli.main(argv) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [
        "1000",
        "50.0",
        "0.0",
        "100.0",
        "-",
    ] in lines  # the medium one of two objects
    written = json.loads((out / "metrics.json").read_text())
    assert written["proposals"]["values"]["AR1000"] == 0.5
    assert "<h2>Proposals</h2>" in (out / "index.html").read_text("utf-8")


def test_detectors_without_proposals_say_so(coco, tmp_path, capsys, fake):
    argv = [
        "evaluate",
        str(coco),
        "--output",
        str(tmp_path / "out"),
        "--proposal-recall",
    ]
    assert cli.main(argv) == 2
    assert "received a FakeDetector." in capsys.readouterr().err


def test_detections_of_other_classes_are_left_out_and_counted(
    coco, tmp_path, capsys, fake
):
    fake.class_names = ("bird", "cow")  # it finds two of the latter
    assert cli.main(["evaluate", str(coco), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "Note: Dropped: 2 detections of classes that the data set lacks." in printed
    assert ", 0 detections; values in %" in printed


def test_without_the_extra_there_is_a_hint_and_no_page(
    coco, tmp_path, capsys, fake, monkeypatch
):
    monkeypatch.setattr(extra, "PACKAGES", ("jinja2", "no_such_package"))
    out = tmp_path / "out"
    assert cli.main(["evaluate", str(coco), "--output", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == FILES[::2]
    assert capsys.readouterr().err == (
        "index.html will not be written: it needs no_such_package. To install: "
        f'{sys.executable} -m pip install "keras-fpn[report]"\n'
    )


def test_defects_of_the_data_set_are_said(coco, tmp_path, capsys, fake):
    contents = json.loads(coco.read_text())
    contents["annotations"][1]["bbox"] = [5, 5, 0, 10]
    coco.write_text(json.dumps(contents))
    assert cli.main(["evaluate", str(coco), "--output", str(tmp_path / "out")]) == 0
    assert "a box without area" in capsys.readouterr().err


def test_other_folders_of_photos_and_parts_can_be_named(coco, tmp_path, capsys, fake):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / name).rename(tmp_path / "photos" / name)
    out = ["--output", str(tmp_path / "out")]
    argv = ["evaluate", str(coco), "--images", str(tmp_path / "photos"), *out]
    assert cli.main(argv) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", str(tmp_path), "--split", "test", *out]) == 2
    assert "received split='test'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{coco}", "--output", "{coco}"], "--output must be a folder: "),
    ],
)
def test_wrong_paths_are_one_line_before_any_model_is_loaded(
    coco, tmp_path, capsys, fake, options, message
):
    argv = [option.format(folder=tmp_path, coco=coco) for option in options]
    if "--output" not in argv:
        argv += ["--output", str(tmp_path / "out")]
    assert cli.main(["evaluate", *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("keras-fpn: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not hasattr(fake, "asked")


def test_models_without_a_class_of_the_data_are_refused(coco, tmp_path, capsys, fake):
    fake.class_names = ("class 0", "class 1")
    assert cli.main(["evaluate", str(coco), "--output", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "received ['class 0', 'class 1'] and ['bird', 'dog']" in err


def test_a_photo_that_breaks_ends_it_by_name(coco, tmp_path, capsys, fake):
    def fail(images, **limits):
        raise ValueError("no\nluck")

    fake.detect = fail
    assert cli.main(["evaluate", str(coco), "--output", str(tmp_path / "out")]) == 1
    assert (
        capsys.readouterr().err == f"keras-fpn: error: {tmp_path / 'a.png'}: no luck\n"
    )


def test_an_interrupted_evaluation_measures_nothing(coco, tmp_path, capsys, fake):
    def interrupt(images, **limits):
        raise KeyboardInterrupt

    fake.detect = interrupt
    out = tmp_path / "out"
    assert cli.main(["evaluate", str(coco), "--output", str(out)]) == 130
    assert capsys.readouterr().err == "Interrupted: nothing was measured.\n"
    assert list(out.iterdir()) == []


def test_files_that_cannot_be_written_are_named(coco, tmp_path, capsys, fake):
    out = tmp_path / "out"
    (out / "metrics.json").mkdir(parents=True)
    assert cli.main(["evaluate", str(coco), "--output", str(out)]) == 1
    err = capsys.readouterr().err
    assert "error: The evaluation could not be written: " in err
    assert "metrics.json" in err


def test_the_script_is_the_command():
    code, out, err = script_called("evaluate.py", "--help")
    assert code == 0, err
    assert "--proposal-recall" in out


def test_views_are_noted(coco, tmp_path, capsys, fake, monkeypatch):
    plain = fake.detect

    def detect_views(photos, scales, flip, merge):
        assert (scales, flip, merge) == ((0.5, 1.0), True, "weighted_boxes")
        return plain(photos)

    monkeypatch.setattr(fake, "detect", detect_views)
    views = ["--scales", "0.5,1", "--flip", "--merge", "weighted_boxes"]
    assert cli.main(["evaluate", str(coco), "--output", str(tmp_path), *views]) == 0
    note = "Note: Detected at scales 0.5, 1 and mirrored, merged by weighted_boxes."
    assert note in capsys.readouterr().out.splitlines()
