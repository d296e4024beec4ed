"""The Keras set-up that keras_fpn runs on: TensorFlow or JAX, channels last.

Keras chooses its backend once, when it is first imported. So the choice is read here
the way Keras reads it, and refused before Keras tries to load that backend.
"""

import json
import os
import pathlib
import sys

SUPPORTED = ("tensorflow", "jax")
_DEFAULT = "tensorflow"  # Keras's own, where nothing is chosen


def check_backend():
    """Refuses a Keras set-up that keras_fpn does not run on.

    Raises:
        ImportError: the backend is neither TensorFlow nor JAX; `keras` is then not
            imported.
        ValueError: Keras's image data format is not "channels_last".
    """
    name, source = _chosen_backend()
    if name not in SUPPORTED:
        raise ImportError(
            "keras_fpn runs on the Keras backends 'tensorflow' and 'jax'; received "
            f"backend={name!r} from {source}. Set the environment variable "
            "KERAS_BACKEND to one of the two before Keras is imported."
        )

    # TensorFlow's C++ side logs, whenever a graph has unknown sizes, that it could not
    # estimate what RoIAlign costs. Its errors still show; so does all of it where the
    # user has set the variable, or has imported TensorFlow before.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    import keras  # only now: it loads the backend

    data_format = keras.config.image_data_format()
    if data_format != "channels_last":
        raise ValueError(
            "keras_fpn takes images as (height, width, channels); received "
            f"image_data_format={data_format!r}. Call "
            "keras.config.set_image_data_format('channels_last')."
        )


def _chosen_backend():
    """Returns the backend's name and where that choice was made."""
    keras = sys.modules.get("keras")
    if keras is not None:
        return keras.config.backend(), "the Keras already imported"
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "the environment variable KERAS_BACKEND"
    path = _config_path()
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):  # none, or damaged: Keras goes on without it too
        config = {}
    return config.get("backend", _DEFAULT), str(path)


def _config_path():
    """Returns where Keras looks for its configuration file."""
    home = os.environ.get("KERAS_HOME")
    folder = pathlib.Path(home) if home else pathlib.Path.home() / ".keras"
    return folder.expanduser() / "keras.json"
