"""A small training that can be killed: `python train_scenes.py FOLDER RESULT [MOMENT]`.

It trains in a folder, resumes there when it is started again, and at its end writes all
variables into the .npz file RESULT. MOMENT says when the process kills itself, see
`kill_at`, or waits to be killed: "step:N", after N steps.
"""

import dataclasses
import os
import pathlib
import signal
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import keras  # noqa: E402
import numpy as np  # noqa: E402
from models.tiny import tiny_backbone, tiny_detector  # noqa: E402

from keras_fpn.data import Photometric, RandomFlip  # noqa: E402
from keras_fpn.data.scenes import scene_dataset  # noqa: E402
from keras_fpn.preprocessing import Preprocessing  # noqa: E402
from keras_fpn.training import SGD, TrainingPlan, WarmupCosine, prepare_training  # noqa: E402

EPOCHS, BATCH, SAVE_EVERY = 3, 2, 2


def build(class_names, category_ids):
    """A tiny detector for 64 pixels."""
    return tiny_detector(
        num_classes=None,
        class_names=class_names,
        category_ids=category_ids,
        backbone=tiny_backbone(("C4", "C5")),  # fewer levels compile sooner
        preprocessing=Preprocessing(64, 64),
    )


# Momentum, decay, a schedule, averages, random photos in a random order.
PLAN = TrainingPlan(
    name="train_scenes",
    build=build,
    batch_size=BATCH,
    learning_rate=0.01,
    schedule=lambda rate, _, total: WarmupCosine(rate, total, warmup_steps=4),
    optimizer=lambda rate: SGD(rate, use_ema=True, ema_momentum=0.9),
    epochs=EPOCHS,
    augment=(RandomFlip(), Photometric()),
)


class Measured(keras.callbacks.Callback):
    """Stands in for an evaluation: a number that rises and depends on every weight."""

    def on_epoch_end(self, epoch, logs=None):
        weights = map(keras.ops.convert_to_numpy, self.model.trainable_variables)
        logs["val_AP"] = epoch + float(np.tanh(sum(w.sum() for w in weights)))


def train(folder, dataset, wait_after=None):
    """Returns the trained model.

    Args:
        folder, dataset: to train in and on.
        wait_after: int, the step after which it waits to be killed; None.
    """
    training = prepare_training(PLAN, dataset, folder, seed=5)
    training = dataclasses.replace(training, evaluation=Measured())
    print("start", training.start.epoch, training.start.batch, flush=True)
    steps = []

    def say_step(batch, logs):
        print("step", logs["loss"], flush=True)
        steps.append(batch)
        if len(steps) == wait_after:
            signal.pause()

    say = keras.callbacks.LambdaCallback(
        on_train_batch_end=say_step,
        on_epoch_end=lambda epoch, logs: print("epoch", epoch, logs, flush=True),
    )
    training.run([say], save_every=SAVE_EVERY)
    return training.model


def kill_at(moment):
    """Makes the process kill itself at "half-written:N" or "renaming:N".

    N counts the .keras files that are written, from 1. At the first moment half of the
    bytes are on the disk, at the second all, but not yet under the name of the file.
    """
    kind, number = moment.split(":")
    left, fsync = [int(number)], os.fsync

    def dying_fsync(file):
        if os.readlink(f"/proc/self/fd/{file}").endswith(".keras"):
            left[0] -= 1
            if left[0] == 0:
                if kind == "half-written":
                    os.ftruncate(file, os.fstat(file).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
        fsync(file)

    os.fsync = dying_fsync


def main(folder, result, moment=None):
    if keras.config.backend() == "tensorflow":
        from keras_fpn.training import make_deterministic

        make_deterministic()
    wait_after = None
    if moment and moment.startswith("step:"):
        wait_after = int(moment.removeprefix("step:"))
    elif moment:
        kill_at(moment)
    # Seven photos: the fourth batch of an epoch has one photo twice.
    dataset = scene_dataset(7, seed=1, size=(64, 64), objects=(1, 3))
    model = train(folder, dataset, wait_after)
    variables = [*model.variables, *model.optimizer.variables]
    arrays = {
        f"{place} {variable.path}": keras.ops.convert_to_numpy(variable)
        for place, variable in enumerate(variables)
    }
    np.savez(result, **{name.replace("/", "."): v for name, v in arrays.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
