"""What has moved is found under the names that documentation once gave."""

import importlib


def moved_to(package: str, *names: str, **renamed: str):
    """Returns the `__getattr__` of a module whose content moved to a package.

    Args:
        package: full name of the package, which is imported when a name is asked for.
        names: what has moved.
        renamed: old name -> new name, of what was renamed.
    """
    new_names = {**{name: name for name in names}, **renamed}

    def find(name):
        if name not in new_names:
            raise AttributeError(f"what moved to {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(package), new_names[name])

    return find
