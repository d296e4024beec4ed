"""The Keras configuration that keras_fpn supports: TensorFlow or JAX, channels last.

Keras chooses its backend once, when it is first imported. So this module finds out
which backend Keras would choose, and raises an error before Keras loads an unsupported
one.
"""

import importlib.util
import json
import os
import pathlib
import sys

SUPPORTED = ("tensorflow", "jax")
_DEFAULT = "tensorflow"  # Keras's own default

# For every graph with unknown sizes, TensorFlow's C++ code warns that it cannot
# estimate the cost of RoIAlign. Level 2 hides warnings and keeps errors.
LOG_LEVEL_NAME, LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL", "2"


class UnsupportedBackend(ImportError):
    """Keras is configured for a backend that keras_fpn does not support."""


def check_backend():
    """Raises an error if keras_fpn does not support how Keras is configured.

    Raises:
        UnsupportedBackend: the backend is neither TensorFlow nor JAX, or is not
            installed; an ImportError.
            `keras` is not imported in that case.
        ValueError: Keras's image data format is not "channels_last".
    """
    name, source = _chosen_backend()
    if name not in SUPPORTED:
        raise UnsupportedBackend(
            "The Keras backend must be 'tensorflow' or 'jax'; received "
            f"backend={name!r} from {source}. Set the environment variable "
            "KERAS_BACKEND to one of the two before importing Keras."
        )

    if importlib.util.find_spec(name) is None:
        raise UnsupportedBackend(
            "The Keras backend must be installed; received "
            f"backend={name!r} from {source}, without the package {name}. Run "
            f"{sys.executable} -m pip install {name}, or choose the other one of "
            f"{SUPPORTED}."
        )

    os.environ.setdefault(LOG_LEVEL_NAME, LOG_LEVEL)  # keeps what the user has set

    import keras  # imported here because this loads the backend

    data_format = keras.config.image_data_format()
    if data_format != "channels_last":
        raise ValueError(
            "Keras's image_data_format must be 'channels_last'; received "
            f"image_data_format={data_format!r}. Call "
            "keras.config.set_image_data_format('channels_last')."
        )


def _chosen_backend():
    """Returns the backend's name and a description of where it was set."""
    keras = sys.modules.get("keras")
    if keras is not None:
        return keras.config.backend(), "the Keras that is already imported"
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "the environment variable KERAS_BACKEND"
    path = _config_path()
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):  # Keras ignores a missing or damaged file too
        config = {}
    return config.get("backend", _DEFAULT), str(path)


def _config_path():
    """Returns the path of Keras's configuration file."""
    home = os.environ.get("KERAS_HOME")
    folder = pathlib.Path(home) if home else pathlib.Path.home() / ".keras"
    return folder.expanduser() / "keras.json"
