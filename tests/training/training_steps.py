"""Training steps as users take them: `python training_steps.py RESULT KIND...`.

`conftest.py` asks for sums that repeat, for which TensorFlow has other kernels, and
fewer threads. This process does not ask. TensorFlow sees two CPUs, for two replicas.
What each kind of step did goes into the .npz file RESULT.
"""

import os
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from models.tiny import tiny_backbone, tiny_detector  # noqa: E402
from tensorflow.python.framework.config import (  # noqa: E402
    is_op_determinism_enabled,
)

from keras_fpn.distribute.devices import make_devices  # noqa: E402
from keras_fpn.layers import Proposals  # noqa: E402
from keras_fpn.models import Assignment  # noqa: E402
from keras_fpn.training import SGD  # noqa: E402

RATE, CLIPPING, DECAY = 0.01, 0.5, 0.1
UPDATED = 3  # steps after which the weights are compared
STEPS = 3 * UPDATED  # the same three batches, three times
SIDE, OBJECTS = 192, 3  # of photos large enough for their maps to be shared by threads


def detector():
    """A detector of two levels that trains on every anchor and every RoI."""
    return tiny_detector(
        backbone=tiny_backbone(("C3", "C4")),
        proposals=Proposals(1000, 500, 1000, 500, name="proposals"),
        rpn_assignment=Assignment(0.3, 0.7, True, 10**7, 0.5),
        roi_assignment=Assignment(0.5, 0.5, False, 10**7, 0.25),
    )


def batches():
    """tf.data.Dataset of as many batches of two photos as there are steps."""
    draw, photos = np.random.default_rng(0), 2 * UPDATED
    corners = draw.uniform(0, SIDE / 2, (photos, OBJECTS, 2))
    sides = draw.uniform(SIDE / 8, SIDE / 2, (photos, OBJECTS, 2))
    x = {
        "images": draw.uniform(0, 255, (photos, SIDE, SIDE, 3)).astype("float32"),
        "image_sizes": np.full((photos, 2), SIDE, "float32"),
    }
    y = {
        "boxes": np.concatenate([corners, corners + sides], -1).astype("float32"),
        "labels": draw.integers(0, 3, (photos, OBJECTS)).astype("int32"),
    }
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(2, drop_remainder=True)
    data = data.repeat(STEPS // UPDATED)
    return data.apply(tf.data.experimental.assert_cardinality(STEPS))


def descent():
    """Plain gradient descent."""
    return keras.optimizers.SGD(RATE)


def trained(build, devices=None, optimizer=descent, policy="float32", **options):
    """Trains from weights that are always the same.

    Args:
        build: function that returns the model.
        devices: `Devices`; None, one.
        optimizer: function that returns the optimizer.
        policy: str, of the model's numbers.
        **options: of `compile`.

    Returns:
        dict of arrays: "losses", means of the first three steps and of the last;
        "change PATH" of each weight by the first three.
    """
    devices = devices or make_devices()
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    with devices.scope():
        model = build()
        model.compile(
            optimizer() if optimizer else keras.optimizers.SGD(RATE), **options
        )
    keras.config.set_dtype_policy("float32")
    weights = {weight.path: weight for weight in model.trainable_variables}
    before = {path: weight.numpy().copy() for path, weight in weights.items()}
    found, means = {}, {}

    def note(step, logs):
        means[step + 1] = float(logs["loss"])
        if step + 1 == UPDATED:
            for path, weight in weights.items():
                found[f"change {path}"] = weight.numpy() - before[path]

    with devices.fit_scope():
        callback = keras.callbacks.LambdaCallback(on_train_batch_end=note)
        model.fit(batches(), verbose=0, shuffle=False, callbacks=[callback])
    rest = STEPS - UPDATED
    last = means[STEPS] * STEPS - means[rest] * rest
    found["losses"] = [means[UPDATED], last / UPDATED]
    return found


def clipped():
    """The optimizer of the recipes, with all its features."""
    return SGD(
        RATE, weight_decay=DECAY, global_clipnorm=CLIPPING, use_ema=True, nesterov=True
    )


def accumulated():
    """Three steps make one update, as large as three."""
    return keras.optimizers.SGD(UPDATED * RATE, gradient_accumulation_steps=UPDATED)


KINDS = {
    "plain": lambda: trained(detector),
    "accumulated": lambda: trained(detector, optimizer=accumulated),
    "clipped": lambda: trained(detector, optimizer=clipped),
    "several at once": lambda: trained(detector, steps_per_execution=UPDATED),
    "mixed precision": lambda: trained(detector, policy="mixed_bfloat16"),
    "mirrored": lambda: trained(detector, make_devices("mirrored")),
    "compiled by XLA": lambda: trained(detector, jit_compile=True),
}


def main(result, *kinds):
    if is_op_determinism_enabled():
        raise SystemExit("sums that repeat must not be asked for")
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    found = {}
    for kind in kinds:
        found |= {f"{kind}: {name}": value for name, value in KINDS[kind]().items()}
    np.savez(result, **{name.replace("/", "."): v for name, v in found.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
