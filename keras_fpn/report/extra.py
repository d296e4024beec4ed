"""Modules that come with the extra `report`, not with the package itself."""

import importlib
import importlib.util

INSTALL = 'pip install "keras-fpn[report]"'
PACKAGES = "jinja2", "matplotlib"


def from_extra(name):
    """Returns an imported module, such as "jinja2" or "matplotlib.figure".

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name != package:
            raise  # what is installed is broken, which another message must tell
        raise ImportError(
            f"The evaluation's page needs {package}, which is not installed. Install "
            f"it: {INSTALL}",
            name=package,
        ) from error


def missing_packages():
    """Returns the names of the page's packages that are not installed, list of str."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]
