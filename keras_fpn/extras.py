"""Imports of packages that only an extra of keras_fpn brings."""

import importlib
import shlex
import sys


def from_extra(name: str, extra: str, purpose: str):
    """Imports and returns a module, such as "av" or "matplotlib.figure".

    Args:
        name: of the module.
        extra: the extra that has its package.
        purpose: what needs it, the subject of the error's sentence.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name != package:
            raise  # it is installed but broken, which ours would hide
        raise ImportError(
            f"{purpose} needs {package}, which is not installed. Install it with: "
            f"{install(extra)}",
            name=package,
        ) from error


def install(extra: str) -> str:
    """Returns the command that installs an extra, into this environment."""
    python = f"{shlex.quote(sys.executable)} -m " if sys.executable else ""
    return f'{python}pip install "keras-fpn[{extra}]"'
