"""Imports of the packages of the extra `report`."""

import importlib
import importlib.util

INSTALL = 'pip install "keras-fpn[report]"'
PACKAGES = "jinja2", "matplotlib"


def from_extra(name: str):
    """Imports and returns a module, such as "jinja2" or "matplotlib.figure".

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
            f"The evaluation page needs {package}, which is not installed. Install it "
            f"with: {INSTALL}",
            name=package,
        ) from error


def missing_packages():
    """Returns the names of the extra's packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]
