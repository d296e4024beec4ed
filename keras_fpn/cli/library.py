"""Loads the package for a command whose arguments are right."""

import os
import sys

from keras_fpn.backend import LOG_LEVEL, LOG_LEVEL_NAME, UnsupportedBackend
from keras_fpn.cli.errors import reported
from keras_fpn.cli.log_filter import filtered

_PACKAGE = __name__.partition(".")[0]


def load_library():
    """Runs the package's `__init__`, if `keras_fpn_command` has not let it run yet.

    Meanwhile, remarks of TensorFlow's C++ code do not reach stderr.

    Raises:
        CommandError: the backend or the configuration of Keras is not supported.
    """
    package = sys.modules[_PACKAGE]
    if hasattr(package, "__version__"):
        return
    level = os.environ.setdefault(LOG_LEVEL_NAME, LOG_LEVEL)
    with filtered(level), reported(UnsupportedBackend, ValueError):
        package.__loader__.exec_module(package)  # type: ignore[union-attr]
        import keras

        if keras.config.backend() == "tensorflow":
            from keras_fpn.cli.devices_tensorflow import look_for_devices

            look_for_devices()
