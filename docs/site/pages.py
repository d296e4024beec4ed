"""Collects the pages of the site: files of the repository, and the reference.

MkDocs calls `on_files`. Files keep their paths, so that links between them need no
change; pages of the reference are written by mkdocstrings from the docstrings.
"""

import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = (
    "*.md",
    "LICENSE",
    "docs/*.md",
    "docs/*.svg",
    "docs/notebooks/*.ipynb",
    "docs/serving/*",
    "zoo/*.md",
    "zoo/*.py",
)
# Each is a page; of the package itself only what it defines, without its folders.
FOLDERS = (
    "ops",
    "layers",
    "backbones",
    "preprocessing",
    "models",
    "weights",
    "data",
    "data.scenes",
    "metrics",
    "report",
    "visualize",
    "video",
    "training",
    "distribute",
    "serving",
    "export",
)
# Imported when it is asked for, because it needs TensorFlow.
LAZY = ("data.tensorflow_loop.tensorflow_dataset",)
_AS_TITLE = "    options: {heading_level: 1}\n"
GEOMETRY = (
    "levels",
    "boxes",
    "box_coder",
    "point_coder",
    "anchors",
    "matcher",
    "sampler",
    "losses",
    "box_merging",
)


def on_files(files, config):
    """Adds the repository's files and the pages of the reference."""
    for pattern in FILES:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            directory_urls = config.use_directory_urls
            files.append(File(name, str(ROOT), config.site_dir, directory_urls))
    for name, text in reference().items():
        files.append(File.generated(config, f"docs/api/{name}.md", content=text))
    return files


def reference():
    """Returns the text of each page of the reference, dict of name -> Markdown."""
    modules = "".join(f"::: keras_fpn.{name}\n\n" for name in GEOMETRY)
    return {
        "keras_fpn": "# keras_fpn\n\n::: keras_fpn.presets\n\n"
        "::: keras_fpn.to_supervision\n",
        "geometry": f"# Geometry\n\n{modules}",
        **{name: _page(name) for name in FOLDERS},
    }


def _page(name):
    """Returns the page of a folder.

    A function with the name of its module is hidden by it, and asked for by itself.
    """
    source = ROOT.joinpath("keras_fpn", *name.split("."), "__init__.py").read_text()
    hidden = re.findall(r"^from (\S+\.(\w+)) import \2$", source, re.MULTILINE)
    alone = [f"::: {module}.{function}\n" for module, function in hidden]
    alone += [f"::: keras_fpn.{each}\n" for each in LAZY if each.startswith(name + ".")]
    return "\n".join([f"::: keras_fpn.{name}\n{_AS_TITLE}", *alone])
