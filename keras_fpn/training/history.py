"""The logs of a run's epochs, as a file holds them."""

import json
import pathlib
import warnings

from keras_fpn.data.json_texts import load_json


def history_text(epochs: list[dict]) -> str:
    """Returns the logs of epochs as JSON."""
    return json.dumps(epochs, indent=1) + "\n"


def read_history(path: pathlib.Path) -> list[dict]:
    """Returns the logs of the epochs in a file, each a dict with its "epoch".

    Without the file there are none, nor with a damaged one, of which it warns: a run
    resumes from its checkpoints and only shows these.
    """
    if not path.is_file():
        return []
    try:
        epochs = load_json(path)
    except ValueError as error:
        problem = str(error)
    else:
        entries = epochs if isinstance(epochs, list) else [None]
        if all(isinstance(e, dict) and type(e.get("epoch")) is int for e in entries):
            return epochs
        problem = f"{path} holds {str(epochs)[:60]}."
    warnings.warn(
        f"The history must be a list of epochs; received {problem} The run resumes "
        "without what it held.",
        stacklevel=3,
    )
    return []
