"""The documentation is built as a site, without a warning and with the whole API."""

import html
import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = ROOT / "docs" / "mkdocs.yml"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; links and anchors that lead nowhere fail."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "-f", str(CONFIG), "-d", str(folder)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def text_of(site, name):
    return html.unescape((site / name / "index.html").read_text())


@pytest.mark.ci
def test_every_page_is_in_the_navigation(site):
    navigation = CONFIG.read_text()
    for path in sorted((ROOT / "docs").glob("*.md")):
        assert f"docs/{path.name}" in navigation
        name = "docs" if path.stem == "README" else f"docs/{path.stem}"
        assert "<h1" in text_of(site, name)


@pytest.mark.ci
def test_links_out_of_docs_lead_to_pages_of_the_site(site):
    assert 'href="../../zoo/#recipes"' in text_of(site, "docs/finetune")
    assert 'id="recipes"' in text_of(site, "zoo")
    assert 'href="../CONTRIBUTING/"' in text_of(site, "docs")
    assert "docs/notebooks/use_saved_model.ipynb" in {
        path.relative_to(site).as_posix() for path in site.rglob("*.ipynb")
    }


@pytest.mark.ci
@pytest.mark.parametrize(
    "name", ["layers", "models", "backbones", "data", "metrics", "data.scenes"]
)
def test_the_reference_has_all_that_a_folder_shows(site, name):
    module = importlib.import_module(f"keras_fpn.{name}")
    page = text_of(site, f"docs/api/{name}")
    ids = set(re.findall(r'id="keras_fpn\.[\w.]*?(\w+)"', page))
    shown = {each for each in module.__all__ if callable(getattr(module, each))}
    assert shown - ids == set()


@pytest.mark.ci
def test_docstrings_are_shown_as_they_are_meant(site):
    layers = text_of(site, "docs/api/layers")
    assert "<strong>Call arguments:</strong>" in layers
    models = text_of(site, "docs/api/models")
    assert "<strong>Example:</strong>" in models
    assert not re.search(r"<code>\w+,</code>", models)  # "a, b: ..." as one name
    assert "Raises" in models
