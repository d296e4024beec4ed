"""Starts the console command `keras-fpn` without Keras.

Importing `keras_fpn` takes seconds, because it imports Keras and registers all classes
of detectors, so that `keras.models.load_model` finds them. `keras_fpn.cli` needs none
of that to read a command line. So this module, which stands beside the package, makes
the package's module without running its `__init__`; `keras_fpn.cli.library` runs it
when the command line is known to be right.
"""

import importlib.util
import sys

PACKAGE = "keras_fpn"


def main():
    """Runs the command that this process was started for; returns the exit code."""
    if PACKAGE not in sys.modules:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None:
            raise ImportError(f"{PACKAGE} must be installed; received no such package.")
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    from keras_fpn.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
