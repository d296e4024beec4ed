"""What scripts/gpu_check.py takes, and the figures that it writes."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest
from process_environment import environment_of_its_own

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "scripts" / "gpu_check.py"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # which the script extends
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_parts_are_checked_unless_some_are_named(script, tmp_path):
    arguments = script.parse(["--output", "gpu.json"])
    assert arguments.parts == script.PARTS == tuple(script.CHECKS)
    assert arguments.output == pathlib.Path("gpu.json")
    assert arguments.recordings is None
    (tmp_path / "fasterrcnn_resnet50_fpn.npz").touch()
    given = ["--parts", "golden", "step", "--recordings", str(tmp_path)]
    arguments = script.parse(["--output", "gpu.json", *given])
    assert arguments.parts == ["golden", "step"]
    assert arguments.recordings == tmp_path


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "--output"),
        (["--output", "x", "--rois", "0"], "received 0"),
        (["--output", "x", "--parts", "serving"], "'serving'"),
        (["--output", "x", "--recordings", "nowhere"], "received nowhere"),
    ],
)
def test_wrong_arguments_are_named(script, given, message, capsys):
    with pytest.raises(SystemExit):
        script.parse(given)
    assert message in capsys.readouterr().err


def test_a_part_that_fails_says_so_and_ends_none_of_the_others(script, monkeypatch):
    def failing(arguments):
        raise RuntimeError("no memory")

    monkeypatch.setitem(script.CHECKS, "step", failing)
    result = script.checked("step", None)
    assert not result["ok"]
    assert "RuntimeError: no memory" in result["error"]
    monkeypatch.setitem(script.CHECKS, "step", lambda arguments: {"ok": True})
    assert script.checked("step", None) == {"ok": True, "seconds": 0.0}


def test_differences_are_shares_of_the_largest_value(script):
    pytest.importorskip("jax")
    import numpy as np

    answers = [np.array([4.0, 0.0])], [np.array([4.0, 1e-3])]
    result = script.compared(*answers, {"median_ms": 1.0})
    assert result == {"ok": False, "difference": 2.5e-4, "median_ms": 1.0}
    assert script.compared(answers[0], answers[0], {})["ok"]


def test_another_backend_than_jax_is_an_error(script, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(SystemExit, match="KERAS_BACKEND=jax"):
        script.main(["--output", "x"])


@pytest.mark.ci
def test_kernels_are_measured_without_tensorflow(tmp_path):
    pytest.importorskip("jax")
    output = tmp_path / "gpu.json"
    command = [sys.executable, str(SCRIPT), "--output", str(output)]
    done = subprocess.run(
        [*command, "--parts", "kernels", "--rois", "50"],
        env=environment_of_its_own(KERAS_BACKEND="jax", JAX_PLATFORMS="cpu"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert json.loads(done.stdout) == report
    assert report["ok"]
    assert not report["tensorflow_imported"]
    assert "tensorflow" not in report["modules"]
    assert {"jax", "keras", "keras_fpn"} <= set(report["modules"])
    kernels = report["parts"]["kernels"]
    for name in ("nms_detections", "nms_proposals", "roi_align", "roi_align_gradient"):
        assert kernels[name]["ok"]
        assert kernels[name]["median_ms"] > 0
    assert kernels["nms_detections"]["kept"] == 100
