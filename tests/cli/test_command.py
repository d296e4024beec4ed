import io
import json
import os
import sys
import types

import pytest
from cli.calling import script_called

import keras_fpn
from keras_fpn import cli
from keras_fpn.cli import detect


@pytest.fixture
def fake(detector, monkeypatch):
    """The detector that `keras-fpn detect` gets, whatever its options ask for."""

    def load_detector(preset, weights):
        return detector, None

    monkeypatch.setattr(detect, "load_detector", load_detector)
    return detector


def without_command(argv):
    """Runs a command that argparse refuses; returns the exit code."""
    with pytest.raises(SystemExit) as left:
        cli.main(argv)
    return left.value.code


def test_detect_passes_its_options_on_and_says_where_everything_is(
    folder, tmp_path, capsys, fake
):
    out, results = tmp_path / "out", tmp_path / "r.json"
    options = "--threshold 0.25 --max-detections 7 --min-size 64 --max-size 128"
    argv = ["detect", str(folder / "a.png"), "--output", str(out)]
    argv += ["--json", str(results), *options.split()]
    assert cli.main(argv) == 0
    assert fake.calls[0][1] == {
        "min_size": 64,
        "max_size": 128,
        "score_threshold": 0.25,
        "max_detections": 7,
    }
    line = capsys.readouterr().out
    assert line.startswith("1 photo, 1 box, ")
    assert line.endswith(f" s; picture: {out / 'a.png'}; results: {results}\n")
    assert json.loads(results.read_text())[0]["bbox"] == [0, 0, 39, 50]


def test_detect_goes_on_after_a_failure_and_exits_with_one(
    folder, tmp_path, capsys, fake
):
    out = tmp_path / "out"
    assert cli.main(["detect", str(folder), "--output", str(out)]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("2 photos, 2 boxes, ")
    assert printed.out.endswith(
        "; 1 photo failed; skipped: 1 folder, 1 .txt (--recursive takes folders); "
        f"pictures in {out}\n"
    )
    assert len(printed.err.splitlines()) == 1


def test_detect_takes_a_folders_tree(folder, tmp_path, capsys, fake):
    out = folder / "below" / "out"
    assert cli.main(["detect", str(folder), "--recursive", "--output", str(out)]) == 1
    assert "3 photos, 3 boxes, " in capsys.readouterr().out
    again = cli.main(["detect", str(folder), "--recursive", "--output", str(out)])
    assert again == 1
    assert "3 photos, 3 boxes, " in capsys.readouterr().out  # no picture among them


def test_detect_takes_the_model_defaults_and_a_readable_threshold(
    folder, tmp_path, monkeypatch, fake
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["detect", str(folder / "a.png")]) == 0
    limits = fake.calls[0][1]
    assert limits["score_threshold"] == 0.5
    assert limits["min_size"] is limits["max_size"] is limits["max_detections"] is None
    assert (tmp_path / "out" / "a.png").is_file()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_that_the_terminal_cannot_show_end_nothing(
    folder, tmp_path, monkeypatch, fake, odd_name, encoding
):
    names = ["é.png", odd_name]
    os.rename(folder / "a.png", folder / names[0])
    os.rename(folder / "b.jpg", folder / names[1])
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    for name in names:
        argv = ["detect", folder / name, "--output", tmp_path, "--json", tmp_path / "r"]
        assert cli.main([str(argument) for argument in argv]) == 0
        assert json.loads((tmp_path / "r").read_text("utf-8"))[0]["file_name"] == str(
            folder / name
        )
    sys.stdout.flush()
    shown = "é" if encoding == "utf-8" else r"\xe9"
    first, second = raw.getvalue().decode(encoding).splitlines()
    assert f"picture: {tmp_path}/{shown}.png; " in first
    assert rf"picture: {tmp_path}/b\udcff.png; " in second


@pytest.mark.parametrize("errors", ["strict", "replace"])
@pytest.mark.parametrize(
    ("argv", "code"), [(["presets"], 0), (["detect", "absent"], 2), (["--help"], None)]
)
def test_a_program_that_calls_a_command_has_its_output_back_as_it_was(
    monkeypatch, errors, argv, code
):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors)
    monkeypatch.setattr(sys, "stdout", stream)
    if code is None:
        with pytest.raises(SystemExit):
            cli.main(argv)
    else:
        assert cli.main(argv) == code
    assert stream.errors == errors


def test_an_output_that_was_closed_meanwhile_changes_no_exit_code(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(cli, "_run", lambda argv: stream.close() or 7)
    assert cli.main([]) == 7


def test_detect_sample_needs_no_photo(tmp_path, fake, capsys):
    assert cli.main(["detect", "--sample", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().err == (
        "The sample photo, a cup of coffee, shows nothing that this detector knows "
        "(cat, dog): whatever it finds is wrong. Name a photo of your own.\n"
    )
    assert fake.calls[0][0][0].shape == (400, 600, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["coffee.jpg"]


def test_ctrl_c_while_the_library_is_loaded_is_no_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load_library", interrupted)
    assert cli.main(["presets"]) == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")


def test_an_interrupted_detect_exits_as_shells_do(folder, tmp_path, capsys, fake):
    def interrupt(images, **limits):
        raise KeyboardInterrupt

    fake.detect = interrupt
    argv = ["detect", str(folder), "--output", str(tmp_path / "out")]
    assert cli.main([*argv, "--json", str(tmp_path / "r.json")]) == 130
    assert "0 photos, 0 boxes" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Name at least one photo, folder or video, or give"),
        (["{folder}/gone.jpg"], "received '{folder}/gone.jpg', which does not exist."),
        (["{folder}", "--output", "{folder}"], "received --output {folder}."),
        (["{folder}", "--output", "{folder}/a.png"], "--output must be a folder: "),
        (["{folder}", "--json", "{folder}"], "received the folder {folder}."),
    ],
)
def test_wrong_paths_are_one_line_before_any_model_is_loaded(
    folder, capsys, fake, options, message
):
    argv = [option.format(folder=folder) for option in options]
    assert cli.main(["detect", *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("keras-fpn: error: ")
    assert message.format(folder=folder) in err
    assert err.count("\n") == 1
    assert fake.calls == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "1.5"], "must be 0 to 1; received 1.5"),
        (["--threshold", "nan"], "must be 0 to 1; received nan"),
        (["--threshold", "high"], "invalid score value: 'high'"),
        (["--max-detections", "0"], "must be at least 1; received 0"),
        (["--max-detections", "10000001"], "must be at most 10000000; received 100"),
        (["--min-size", "8.5"], "invalid count value: '8.5'"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_wrong_options_are_usage_errors(capsys, options, message):
    assert without_command(["detect", "photo.jpg", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_command_is_required(capsys):
    assert without_command([]) == 2
    assert "name a command: detect, evaluate, " in capsys.readouterr().err


def test_presets_are_a_table_with_metrics_and_source(capsys, monkeypatch):
    def preset(metrics, source, has_weights, size_mb):
        checkpoint = types.SimpleNamespace(size_mb=size_mb)
        return types.SimpleNamespace(
            metrics=metrics,
            source=source,
            has_weights=has_weights,
            checkpoint=checkpoint,
        )

    shipped = keras_fpn.list_presets()["faster_rcnn_resnet18_fpn_bccd"]
    named = {
        "short": preset({"COCO": {"AP": 37.0, "AP50": 58.5}}, "S", True, 159.7),
        "a longer name": preset({}, "another", False, None),
        "of no size": preset({}, "T", True, None),
        "ours": shipped,
    }
    monkeypatch.setattr(keras_fpn, "list_presets", lambda: named)
    assert cli.main(["presets"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "preset         weights           published result          source",
        "short          download, 160 MB  COCO: AP 37.0, AP50 58.5  S",
        "a longer name  --weights FILE                              another",
        "of no size     download                                    T",
        "ours           in the package    BCCD test: box AP 59.1    "
        "keras_fpn, zoo/faster_rcnn_resnet18_fpn_bccd.py",
    ]


def test_the_script_is_the_command():
    code, _, err = script_called("detect.py", "gone.jpg")
    assert code == 2
    assert "received 'gone.jpg', which does not exist" in err
