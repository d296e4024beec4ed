"""Images are opened in one place, by one list of formats: some run programs."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONLY = "keras_fpn/preprocessing/photo.py"

# Other ways to have pixels out of a file, by the last part of the function's name.
OTHER_WAYS = {"load_img", "imread", "decode_image", "decode_gif", "decode_bmp"}


# What opens a file as well: by what comes first in it, or as one format.
OTHER_PILLOW = ("ImageFile.Parser", "Plugin")


def renamed(node):
    """What an import has of Pillow but not under Pillow's own name, list of str."""
    aliases = node.names
    if isinstance(node, ast.Import):  # `import PIL` alone
        aliases = [a for a in aliases if a.name.split(".")[0] == "PIL"]
        return [a.name for a in aliases if a.asname or a.name != "PIL"]
    if node.module == "PIL":
        return [a.name for a in aliases if a.asname or a.name == "*"]
    return [a.name for a in aliases if (node.module or "").startswith("PIL.")]


def faults(source, may_open):
    """What is wrong with a module's source, list of (line, what).

    Pillow's modules must be imported under their own names, for by these is
    `Image.open` known.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [(node.lineno, name) for name in renamed(node)]
        if not isinstance(node, (ast.Attribute, ast.Name)):
            continue
        name = ast.unparse(node)
        if name.split(".")[-1] in OTHER_WAYS or name.endswith(OTHER_PILLOW):
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
        ("from PIL.Image import *", True, 1),
        ("from PIL.ImageFile import Parser", True, 1),
        ("from PIL import *", True, 1),
        ("from PIL import Image as I; I.open(p, formats=None)", True, 1),
        ("import PIL.Image", True, 1),
        ("import PIL.Image as I; I.open(p)", True, 1),
        ("import PIL as P", True, 1),
        ("def f():\n    from PIL import Image as I", True, 1),
        ("ImageFile.Parser()", True, 1),
        ("EpsImagePlugin.EpsImageFile(p)", True, 1),
        ("import PIL, os.path as p\nfrom PIL import Image, ImageFile", False, 0),
        ("from .PIL import x\nfrom . import y as z\nImageFile.ImageFile", False, 0),
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
