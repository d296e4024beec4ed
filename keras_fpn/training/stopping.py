"""What happens when a callback asks for an early end of a training."""

import keras


class StopTogether(keras.callbacks.Callback):
    """Ends the training on all workers when it is asked for on one.

    Otherwise the others would wait for it without end. Put it last.

    Args:
        devices: `Devices`.
    """

    def __init__(self, devices):
        super().__init__()
        self.devices = devices

    def on_epoch_end(self, epoch, logs=None):
        asked = self.devices.of_workers(int(self.model.stop_training))
        self.model.stop_training = any(asked)


def check_callbacks(callbacks):
    """Refuses callbacks that would train on with other weights than those saved.

    Raises:
        ValueError: there is an `EarlyStopping` that puts the best weights back.
    """
    for callback in callbacks:
        if getattr(callback, "restore_best_weights", False):
            raise ValueError(
                "A callback must leave the weights as they were trained, or a killed "
                f"run could not be resumed; received {type(callback).__name__} with "
                "restore_best_weights=True. Leave it out: best.keras has the weights "
                "of the best epoch."
            )
