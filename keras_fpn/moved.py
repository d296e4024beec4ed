"""What has moved is found under the names that documentation once gave."""

import importlib


def moved_to(package: str, **renamed: str):
    """Returns the `__getattr__` of a module whose content moved to a package.

    Args:
        package: full name of the package, which is imported when a name is asked for.
        renamed: old name -> new name.
    """

    def find(name):
        return getattr(importlib.import_module(package), renamed.get(name, name))

    return find
