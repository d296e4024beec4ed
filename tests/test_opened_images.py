"""Images are opened in one place, by one list of formats: some run programs."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONLY = "keras_fpn/preprocessing/photo.py"

# Other ways to have pixels out of a file, by the last part of the function's name.
OTHER_WAYS = {"load_img", "imread", "decode_image", "decode_gif", "decode_bmp"}


def faults(source, may_open):
    """What is wrong with the calls of a module's source, list of (line, what)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
            found += [(node.lineno, a.name) for a in node.names if a.name == "open"]
        if not isinstance(node, (ast.Attribute, ast.Name)):
            continue
        name = ast.unparse(node)
        if name.split(".")[-1] in OTHER_WAYS:
            found.append((node.lineno, name))
        if name.endswith("Image.open") and not may_open:
            found.append((node.lineno, name))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open"):
            formats = [key for key in node.keywords if key.arg == "formats"]
            if not formats or ast.unparse(formats[0].value) == "None":
                found.append((node.lineno, "without formats"))
    return found


@pytest.mark.parametrize(
    ("source", "may_open", "expected"),
    [
        ("Image.open(p, formats=FORMATS)", True, 0),
        ("Image.open(p, formats=FORMATS)", False, 1),
        ("Image.open(p)", True, 1),
        ("Image.open(p, formats=None)", True, 1),
        ("PIL.Image.open(p)", False, 2),
        ("pool.map(Image.open, paths)", False, 1),
        ("from PIL.Image import open", True, 1),
        ("tf.io.decode_image(contents)", True, 1),
        ("keras.utils.load_img(path)", True, 1),
        ("pathlib.Path(p).open()\nopen(p)\nImage.new('L', (1, 1))", False, 0),
        ("", False, 0),
    ],
)
def test_the_check_notices(source, may_open, expected):
    assert len(faults(source, may_open)) == expected


def test_the_package_opens_images_in_one_place():
    files = sorted((ROOT / "keras_fpn").rglob("*.py"))
    assert (ROOT / ONLY) in files
    found = {}
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if wrong := faults(path.read_text("utf-8"), name == ONLY):
            found[name] = wrong
    assert found == {}
    assert "Image.open(" in (ROOT / ONLY).read_text("utf-8")


def test_scripts_and_recipes_name_the_formats():
    files = [p for folder in ("scripts", "zoo") for p in (ROOT / folder).rglob("*.py")]
    assert files
    found = {path.name: faults(path.read_text("utf-8"), True) for path in sorted(files)}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
