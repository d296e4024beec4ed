"""Imports of the packages of the extra `report`."""

import importlib.util

from keras_fpn import extras

INSTALL = extras.install("report")
PACKAGES = "jinja2", "matplotlib"


def from_extra(name: str):
    """Imports and returns a module, such as "jinja2" or "matplotlib.figure".

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return extras.from_extra(name, "report", "The evaluation page")


def missing_packages():
    """Returns the names of the extra's packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]
