"""What each epoch's losses and numbers were, as a file that outlives the process."""

import json
import math

import keras

NAME = "history.json"


class History(keras.callbacks.Callback):
    """Keeps the logs of every epoch in a run's `history.json`, also across resumptions.

    The file is a list with a dict per epoch: "epoch", from 0, and the logs; numbers
    that are not finite are null. Put it after callbacks that add to the logs.

    Args:
        folder: `RunFolder`; of several workers the one that writes does.

    Attributes:
        epochs: list of dict, as in the file.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.path = folder.path / NAME
        self.epochs = []
        if self.path.is_file():
            self.epochs = json.loads(self.path.read_text("utf-8"))

    def on_epoch_end(self, epoch, logs=None):
        values = {name: _number(value) for name, value in (logs or {}).items()}
        # A resumed run repeats the epoch that the killed one may have written already.
        kept = [entry for entry in self.epochs if entry["epoch"] < epoch]
        self.epochs = [*kept, {"epoch": epoch, **values}]
        if not self.folder.writes:
            return
        text = json.dumps(self.epochs, indent=1) + "\n"
        with self.folder.writing(self.path, len(text)) as partial:
            partial.write_text(text, "utf-8")


def _number(value):
    value = float(value)
    return value if math.isfinite(value) else None
