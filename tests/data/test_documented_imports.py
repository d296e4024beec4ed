"""What the pages import of the data and its neighbors is public API."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys

import keras
import pytest

import keras_fpn.data

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = {"backbones", "data", "preprocessing", "visualize", "weights"}


def imports_of_pages():
    """(page, module, name) of each import from UNITS in the pages' Python code."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
            for node in ast.walk(ast.parse(code)):
                module = getattr(node, "module", None) or ""
                if (
                    module.split(".")[0] == "keras_fpn"
                    and module.split(".")[1] in UNITS
                ):
                    found += [(page.name, module, alias.name) for alias in node.names]
    return found


def test_pages_import_what_subpackages_export():
    imports = imports_of_pages()
    assert ("pipeline.md", "keras_fpn.data", "tensorflow_dataset") in imports
    for page, name, attribute in imports:
        module = importlib.import_module(name)
        assert hasattr(module, "__path__"), f"{page}: {name} is not a subpackage"
        assert attribute in module.__all__, f"{page}: {name}.{attribute}"


def test_dotted_names_on_the_pages_exist():
    dotted = re.compile(rf"\bkeras_fpn\.((?:{'|'.join(sorted(UNITS))})\.[\w.]*\w)")
    for page in sorted((ROOT / "docs").glob("*.md")):
        for name in dotted.findall(page.read_text()):
            found = keras_fpn
            for part in name.split("."):
                found = getattr(found, part)


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_everything_exported_exists(unit):
    module = importlib.import_module(f"keras_fpn.{unit}")
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for name in set(module.__all__) - {"tensorflow_dataset"}:
        assert getattr(module, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'keras_fpn\.data' has no .*'no_such'"):
        _ = keras_fpn.data.no_such


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="imports it anyway")
def test_only_tensorflow_dataset_imports_tensorflow():
    pytest.importorskip("tensorflow")
    code = (
        "import sys, keras_fpn.data as data\n"
        "assert 'tensorflow' not in sys.modules\n"
        "data.tensorflow_dataset\n"
        "assert 'tensorflow' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
