"""Small trainings in their own process: `python distributed_run.py OPTIONS.json`.

The number of devices must be set before the backend starts. The process writes losses,
logs and weights into an .npz file. OPTIONS is a dict of "output", path of that
file; "strategies", for `make_devices`, one after the other; "logical_cpus", how many
devices TensorFlow should see; "runs", names of `RUNS`; "optimizers", whether those of
`optimizers` are tried on a small model; "pieces", whether to cut batches into pieces;
"resume", a folder in which to train, and to resume a copy of that training; "free",
whether sums need not repeat to the bit, as for users.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
BATCH_SIZE = 4
CLIPPING = 0.5


def scenes():
    """Nine photos. In the first batch of four the half of the second replica has no
    objects, nor has the second batch; half of the third batch has no weight.
    """
    from keras_fpn.data import Objects
    from keras_fpn.data.scenes import scene_dataset

    dataset = scene_dataset(9, seed=3, size=(64, 96), objects=(3, 6), sides=(12, None))
    photos = [
        photo
        if place in (0, 1, 8)
        else dataclasses.replace(photo, objects=Objects([], [], []))
        for place, photo in enumerate(dataset.photos)
    ]
    return dataclasses.replace(dataset, photos=tuple(photos))


def momentum_run():
    """A detector without norms; momentum and nothing else."""
    import keras

    return detector(), keras.optimizers.SGD(0.02, momentum=0.9)


def clipped_run():
    """A detector with live batch norms; clipping, weight decay and averaged weights."""
    from keras_fpn.layers import FeaturePyramid
    from keras_fpn.training import SGD

    optimizer = SGD(
        0.01,
        weight_decay=0.01,
        global_clipnorm=CLIPPING,
        use_ema=True,
        ema_momentum=0.5,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    neck = FeaturePyramid(16, norm="batch", name="neck")
    return detector(neck=neck), optimizer


def dense_run():
    """A RetinaNet whose losses are divided by a moving average of positives."""
    import keras
    from models.tiny import tiny_backbone

    from keras_fpn.layers import DenseHead, FeaturePyramid
    from keras_fpn.models import MovingPositives, retinanet_fpn
    from keras_fpn.preprocessing import Preprocessing
    from keras_fpn.weights import fill_with_formula

    model = retinanet_fpn(
        tiny_backbone(("C3", "C4")),
        num_classes=len(scenes().class_names),
        neck=FeaturePyramid(16, name="neck"),
        dense_head=DenseHead(1, name="dense_head"),
        loss_divisor=MovingPositives(0.5, 10.0, name="loss_divisor"),
        preprocessing=Preprocessing(96, 160),
    )
    fill_with_formula(model)
    return model, keras.optimizers.SGD(0.001, momentum=0.9)


RUNS = {"momentum": momentum_run, "clipped": clipped_run, "dense": dense_run}


def loader_of(model, **arguments):
    from keras_fpn.data.loader import Loader

    defaults = {"batch_size": BATCH_SIZE, "seed": 1, "fill": True}
    return Loader(scenes(), model.preprocessing, **{**defaults, **arguments})


def train(name, devices, validate):
    """Trains for two epochs.

    Args:
        name: str, of `RUNS`.
        devices: `Devices`.
        validate: bool, whether an epoch ends with losses and detections of all photos.

    Returns:
        dict of arrays: "steps", the mean losses after each step, "log ...",
        "weight ...", "state ..." of the optimizer, "detections",
        "copies" of each weight, and "read", the indices of the photos that were read.
    """
    import keras
    import numpy as np

    from keras_fpn.data import RandomFlip
    from keras_fpn.metrics import CocoEvaluation

    steps, options = [], {}
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(list(logs.values()))
    )
    with devices.scope():
        model, optimizer = RUNS[name]()
        model.compile(optimizer)
        optimizer.build(model.trainable_variables)
    loader = loader_of(model, augment=[RandomFlip()])
    read = noted_reading(loader)
    evaluation = CocoEvaluation(loader_of(model))
    if validate:
        options["validation_data"] = devices.dataset(loader_of(model))
    data = devices.dataset(loader, epochs=2)
    with devices.fit_scope():
        history = model.fit(
            data,
            epochs=2,
            steps_per_epoch=len(loader),
            shuffle=False,
            verbose=0,
            callbacks=[evaluation, note] if validate else [note],
            **options,
        ).history
    found = variables(model)
    found |= {f"log {key}": np.array(values) for key, values in history.items()}
    found["detections"] = [
        [one["image_id"], one["category_id"], *one["bbox"], one["score"]]
        for one in evaluation.results
    ]
    return found | {"steps": steps, "read": sorted(read), "copies": copies(model)}


def variables(model):
    """Returns dict of copies of the model's and the optimizer's variables, by name."""
    import numpy as np

    found = {f"weight {v.path}": v for v in model.variables}
    for variable in model.optimizer.variables:
        found[f"state {variable.path.split('/', 1)[1]}"] = variable
    return {name: np.array(variable.numpy()) for name, variable in found.items()}


def plan():
    """Nine steps; weights change at every third step, and their averages then."""
    from training.mean_box import MeanBox

    from keras_fpn.data import RandomFlip
    from keras_fpn.training import SGD, TrainingPlan, WarmupCosine

    return TrainingPlan(
        name="resume",
        build=MeanBox,
        batch_size=BATCH_SIZE,
        learning_rate=0.5,
        schedule=lambda rate, _, total: WarmupCosine(rate, total, warmup_steps=2),
        optimizer=lambda rate: SGD(
            rate,
            global_clipnorm=CLIPPING,
            use_ema=True,
            ema_momentum=0.5,
            gradient_accumulation_steps=3,
        ),
        epochs=3,
        augment=(RandomFlip(),),
    )


def resume(devices, folder):
    """Trains to the end, and again from a copy of the folder after five steps.

    Returns:
        dict of arrays: "whole ..." and "resumed ...", all variables in the end, and
        "losses" of the epochs; "start", epoch and batch of the second run's first step.
    """
    import keras

    from keras_fpn.data.scenes import scene_dataset
    from keras_fpn.training import prepare_training

    dataset = scene_dataset(9, seed=3, size=(64, 96), objects=(1, 3))
    whole, cut = folder / "whole", folder / "cut"

    def copy(batch, logs):
        newest = whole / "checkpoint-0001-000002.keras"
        if devices.is_chief and newest.exists() and not cut.exists():
            shutil.copytree(whole, cut)

    found = {}
    for name, path in (("whole", whole), ("resumed", cut)):
        losses = []
        note = keras.callbacks.LambdaCallback(
            on_train_batch_end=copy,
            on_epoch_end=lambda epoch, logs, losses=losses: losses.append(logs["loss"]),
        )
        training = prepare_training(plan(), dataset, path, devices=devices)
        training.run([note], save_every=2)
        found |= {f"{name} {key}": v for key, v in variables(training.model).items()}
        found[f"{name} losses"] = losses
    return found | {"start": [training.start.epoch, training.start.batch]}


def noted_reading(loader):
    """Returns a set that collects the indices of the photos that the loader reads."""
    read, load_into = set(), loader.load_into

    def noting(arrays, slot, batch, epoch):
        read.add(batch.indices[slot])
        load_into(arrays, slot, batch, epoch)

    loader.load_into = noting
    return read


def copies(model):
    """Returns on how many devices of this process the weights are stored, int."""
    value = model.trainable_variables[0].value
    if hasattr(value, "addressable_shards"):  # JAX
        return len(value.addressable_shards)
    return len(getattr(value, "values", [value]))


def detector(**parts):
    """A detector of two levels that trains on a sample of its anchors and RoIs."""
    from models.tiny import tiny_backbone, tiny_detector

    from keras_fpn.models import Assignment

    return tiny_detector(
        num_classes=len(scenes().class_names),
        backbone=tiny_backbone(("C3", "C4")),
        rpn_assignment=Assignment(0.3, 0.7, True, 64, 0.5),
        roi_assignment=Assignment(0.5, 0.5, False, 16, 0.25),
        **parts,
    )


def optimizers():
    """Returns functions that make optimizers, by what these do with the gradients."""
    from keras import optimizers as kinds

    def by_layer():
        default = kinds.SGD(0.1, clipnorm=0.1)
        return kinds.OptimizerMap(default, {"first/.*": kinds.SGD(0.2, clipvalue=0.05)})

    return {
        "clipnorm": lambda: kinds.SGD(0.1, clipnorm=0.1),
        "clipvalue": lambda: kinds.SGD(0.1, clipvalue=0.05),
        "global_clipnorm": lambda: kinds.Adam(0.1, global_clipnorm=0.1),
        "accumulation": lambda: kinds.SGD(
            0.1, momentum=0.9, gradient_accumulation_steps=3, global_clipnorm=0.1
        ),
        "averaging": lambda: kinds.SGD(
            0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3
        ),
        "several": lambda: kinds.MultiOptimizer(by_layer()),
        "scaled": lambda: kinds.LossScaleOptimizer(kinds.SGD(0.1, global_clipnorm=0.1)),
    }


def fit_lines(make_optimizer, devices):
    """Trains a small model for four steps; returns dict of its and the optimizer's
    variables.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_fpn.distribute.model_tensorflow import DistributedModel

    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(16, 5)), 3 * draw.normal(size=(16, 2))
    with devices.scope():
        inputs = keras.Input((5,))
        start = keras.initializers.RandomNormal(seed=1)
        hidden = keras.layers.Dense(4, "tanh", kernel_initializer=start, name="first")
        last = keras.layers.Dense(2, kernel_initializer=start, name="last")
        model = DistributedModel(inputs, last(hidden(inputs)))
        model.compile(make_optimizer(), "mse")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    with devices.fit_scope():
        model.fit(data, verbose=0, shuffle=False)
    weights = {f"weight {place}": w for place, w in enumerate(model.get_weights())}
    state = enumerate(model.optimizer.variables)
    return weights | {f"state {place}": v.numpy() for place, v in state}


def pieces(devices):
    """Returns int (steps, replicas, images), the ids of the images that the replicas of
    one of several workers get, as if this process were the only one.
    """
    import numpy as np

    loader = loader_of(detector())
    dataset = devices._in_pieces(loader.for_fit(), loader.batch_size)
    found = [
        np.stack(devices.strategy.experimental_local_results(y["image_ids"]))
        for _, y, _ in dataset
    ]
    if int(dataset.cardinality) != len(found):  # Keras counts steps by it
        raise ValueError(f"{int(dataset.cardinality)} for {len(found)} steps")
    return np.stack(found)


def refusal(devices):
    """Returns the message for workers that would start from different steps, str."""
    devices.check_same_step(7)
    try:
        devices.check_same_step(devices.worker_index)
    except ValueError as error:
        return str(error)
    return ""


def results(options, devices):
    """Returns dict of arrays of all that the options ask for, by name."""
    found = {"place": [devices.replicas, devices.workers, devices.worker_index]}
    found["steps"], found["refusal"] = devices.of_workers(5), refusal(devices)
    for name in options.get("runs", ()):
        values = train(name, devices, validate=name == "clipped")
        found |= {f"{name} {key}": value for key, value in values.items()}
    if options.get("optimizers"):
        for name, make in optimizers().items():
            values = fit_lines(make, devices)
            found |= {f"{name} {key}": value for key, value in values.items()}
    if options.get("pieces") and devices.replicas > 1:
        found["pieces"] = pieces(devices)
    if options.get("resume") and devices.replicas > 1:
        values = resume(devices, pathlib.Path(options["resume"]))
        found |= {f"resume {key}": value for key, value in values.items()}
    return found


def main(path):
    options = json.loads(pathlib.Path(path).read_text())
    if "logical_cpus" in options:
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * options["logical_cpus"],
        )
    import keras
    import numpy as np

    from keras_fpn.distribute.devices import make_devices

    if keras.backend.backend() == "tensorflow" and not options.get("free"):
        # Threads that add in another order sometimes change a last bit, and rarely, by
        # that, which of two RoIs is kept: then trainings differ on any devices.
        from keras_fpn.training import make_deterministic

        make_deterministic()
    keras.utils.set_random_seed(1)
    found = {}
    for strategy in options["strategies"]:
        values = results(options, make_devices(strategy))
        found |= {f"{strategy} {key}": value for key, value in values.items()}
    np.savez(options["output"], **found)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    main(sys.argv[1])
