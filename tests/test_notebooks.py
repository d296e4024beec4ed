"""The notebooks in docs/notebooks/ run, and are committed without outputs."""

import pathlib
import re

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
PRINTED = {
    "detect_and_finetune": r"AP \d+\.\d on 4 photos",
    "use_saved_model": r"\['ok', 'not_jpeg_or_png'\](.|\n)*\n0\.\d+ pixels apart",
}
SECONDS = 600  # of one cell, on a busy machine


def read(path):
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks_to_look_at():
    assert {path.stem for path in NOTEBOOKS} == set(PRINTED)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) > 3
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.ci
@pytest.mark.tensorflow_only
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_prints_what_it_says_and_ends_with_a_picture(
    path, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = read(path)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
    shown = [output.get("data", {}) for output in notebook.cells[-1].outputs]
    assert any("image/png" in data for data in shown)
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    printed = "".join(output.get("text", "") for output in outputs)
    assert re.search(PRINTED[path.stem], printed), printed
