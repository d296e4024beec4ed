"""What `train` and `finetune` share: options, data, and the training itself."""

import contextlib
import sys
from pathlib import Path

from keras_fpn.cli.detect import count
from keras_fpn.cli.errors import INTERRUPTED, CommandError, one_line
from keras_fpn.cli.evaluate import evaluate

STRATEGIES = ("none", "mirrored", "multiworker", "tpu")
EVALUATION, TENSORBOARD = "evaluation", "tensorboard"  # folders in the run's
_OTHER_CLASSES = ("unselected", "unknown_category")  # kinds of a data set's report


def add_training_options(parser, default_output):
    """Adds the data set, the output, the devices and the like to a parser."""
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="file or folder of annotations to train on")
    add("--images", metavar="DIR", help="folder of its photos, if it is elsewhere")
    add("--split", metavar="NAME", help="its part to train on, such as train")
    add("--val", metavar="DATASET", help="annotations to measure AP on")
    add("--val-images", metavar="DIR", help="folder of their photos")
    add("--val-split", metavar="NAME", help="part to measure AP on, such as val")
    add(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path(default_output),
        help="folder of this training: checkpoints, history, evaluation "
        "(default %(default)s)",
    )
    add(
        "--strategy",
        choices=STRATEGIES,
        default="none",
        help="devices: none, one; mirrored, all of this machine; multiworker, those of "
        "several machines; tpu (default %(default)s)",
    )
    add(
        "--save-every",
        metavar="STEPS",
        type=count,
        help="write a checkpoint every so many steps, too (default: after each epoch)",
    )
    add(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="what chance is drawn for (default %(default)s)",
    )
    add(
        "--workers",
        metavar="N",
        type=count,
        help="threads that read photos (default: one per CPU core)",
    )
    add(
        "--deterministic",
        action="store_true",
        help="use only operations that repeat their results to the bit; slower",
    )
    add(
        "--no-tensorboard",
        action="store_true",
        help=f"write no logs for TensorBoard (default: into {TENSORBOARD} of the "
        "output, where the backend is TensorFlow)",
    )


def open_devices(arguments):
    """Returns the `Devices` to train on; to be called before anything is computed.

    Raises:
        CommandError: there are none such.
    """
    from keras_fpn.distribute.devices import make_devices

    if arguments.deterministic:
        _make_deterministic()
    try:
        return make_devices(arguments.strategy)
    except (ValueError, RuntimeError) as error:
        raise CommandError(one_line(error)) from error


def read_data(arguments):
    """Returns the data sets to train and to measure on, the second may be None.

    Raises:
        CommandError: one cannot be read, or they have other classes than each other.
    """
    dataset = _opened(arguments.dataset, arguments.images, arguments.split)
    if arguments.val is None and arguments.val_split is None:
        return dataset, None
    validation = _opened(
        arguments.val or arguments.dataset,
        arguments.val_images or (None if arguments.val else arguments.images),
        arguments.val_split,
        dataset.class_names,
    )
    return dataset, validation


def _opened(path, images, split, class_names=None):
    """Returns a data set; with class names, those of the training data, another one."""
    from keras_fpn.data import open_dataset

    def look(report):
        if report.defects:
            print(report, file=sys.stderr)
        found = [kind for kind in _OTHER_CLASSES if kind in report.counts]
        if class_names is not None and found:
            raise ValueError(
                "its objects must be of the classes of the training data, "
                f"{', '.join(class_names)}; received {report.counts[found[0]]} of "
                f"others, such as {report.examples[found[0]][0]}. Give both the same "
                "classes."
            )

    try:
        return open_dataset(path, images, split, class_names=class_names, report=look)
    except (ValueError, OSError) as error:
        data = "" if class_names is None else "Data to measure on: "
        raise CommandError(data + one_line(error)) from error


def run_training(plan, dataset, validation, arguments, devices=None):
    """Trains, shows how it goes, and measures the best checkpoint.

    Args:
        plan: `keras_fpn.training.TrainingPlan`.
        dataset, validation: `keras_fpn.data.Dataset`; the second may be None.
        arguments: argparse's, with those of `add_training_options`.
        devices: what `open_devices` returned; None, it is called.

    Returns:
        int, the exit code.

    Raises:
        CommandError: the folder, the devices or the data do not fit, or the loss
            diverged.
    """
    from keras_fpn.training.divergence import TrainingDiverged
    from keras_fpn.training.fit import prepare_training

    devices = devices or open_devices(arguments)
    try:
        training = prepare_training(
            plan, dataset, arguments.output, validation, devices, arguments.seed
        )
    except (ValueError, OSError) as error:
        raise CommandError(one_line(error)) from error
    if devices.is_chief:
        print(_summary(training, plan), flush=True)  # before what goes to stderr
    try:
        with contextlib.ExitStack() as stack:
            shown = _shown(training, arguments) if devices.is_chief else []
            training.run(
                [stack.enter_context(callback) for callback in shown],
                save_every=arguments.save_every,
                workers=arguments.workers,
            )
        if devices.is_chief:
            _evaluate(training, validation)
    except KeyboardInterrupt:
        print(
            f"Interrupted. The same command goes on from {training.folder.path}.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except (TrainingDiverged, OSError) as error:
        raise CommandError(one_line(error), code=1) from error
    return 0


def _shown(training, arguments):
    """Returns the callbacks that show how a training goes."""
    import keras

    from keras_fpn.training.progress import Progress

    length, start = len(training.loader), training.start
    step = start.epoch * length + start.batch
    batch_size = training.plan.batch_size
    progress = Progress(training.total_steps, length, batch_size, step)
    if arguments.no_tensorboard:
        return [progress]
    if keras.backend.backend() != "tensorflow":
        print(
            "No logs for TensorBoard: they are written with TensorFlow, and the "
            f"backend is {keras.backend.backend()}.",
            file=sys.stderr,
        )
        return [progress]
    from keras_fpn.training.tensorboard import TensorBoardLog

    folder = training.folder.path / TENSORBOARD
    return [progress, TensorBoardLog(folder, length, step, training.evaluation)]


def _make_deterministic():
    import keras

    if keras.backend.backend() == "tensorflow":
        from keras_fpn.training.determinism_tensorflow import make_deterministic

        make_deterministic()


def _summary(training, plan):
    loader, start = training.loader, training.start
    parts = [
        f"{plan.name}: {training.model.count_params() / 1e6:.1f} M parameters",
        f"{len(loader.dataset)} photos, {len(loader)} steps of {plan.batch_size} "
        f"images an epoch, {training.total_steps} steps in all",
        f"folder {training.folder.path}",
    ]
    if training.folder.finished:
        parts.append("it has ended, and is measured again")
    elif (start.epoch, start.batch) != (0, 0):
        parts.append(f"goes on at epoch {start.epoch + 1}, step {start.batch + 1}")
    return "; ".join(parts)


def _evaluate(training, validation):
    """Measures the best checkpoint and writes the page, if there is a second data set.

    Without one, or where no epoch could be measured, the last is all there is.
    """
    folder = training.folder
    checkpoint = folder.last if validation is None else folder.result
    if validation is not None:
        if checkpoint == folder.last:
            print(
                f"There is no {folder.best}: no epoch had a finite AP. "
                f"{folder.last.name} is taken in its place.",
                file=sys.stderr,
            )
        import keras

        model = keras.models.load_model(checkpoint)
        evaluate(model, validation, folder.path / EVALUATION, str(checkpoint))
    print(
        f"Checkpoint: {checkpoint}\n"
        f"To detect with it: keras-fpn detect PHOTO --weights {checkpoint}"
    )
