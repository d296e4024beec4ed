"""What `train` and `finetune` share: options, data sets, and the training itself."""

import argparse
import contextlib
import sys
from pathlib import Path
from shlex import quote

from keras_fpn.cli import existing
from keras_fpn.cli.errors import INTERRUPTED, CommandError, reported
from keras_fpn.cli.evaluate import evaluate, tell_if_without_page
from keras_fpn.cli.options import (
    COUNT,
    FLAG,
    add_classes,
    add_options,
    read_dataset,
    selected_classes,
)
from keras_fpn.cli.proposals import TESTED, TRAINED, add_proposals, with_file
from keras_fpn.cli.splits import measuring_command

STRATEGIES = ("none", "mirrored", "multiworker", "tpu")
EVALUATION, TENSORBOARD = "evaluation", "tensorboard"  # in the output folder
_ROLE = "Data to measure on: "
_VALIDATION = {"images": "--val-images", "split": "--val-split"}
_OTHER_CLASSES = ("unselected", "unknown_category")  # kinds of a data set's report


def add_training_options(parser: argparse.ArgumentParser, default_output: str):
    """Adds the options for data, output, devices and the like to a parser."""
    add = parser.add_argument
    add(
        "dataset",
        metavar="DATASET",
        type=existing.path,
        help="annotations to train on, a file or folder; it may hold train/, valid/",
    )
    add("--images", metavar="DIR", help="folder of the photos, if it is elsewhere")
    add("--split", metavar="NAME", help="split to train on, such as train")
    validated = "annotations to validate on"
    add("--val", metavar="DATASET", type=existing.path, help=validated)
    add("--val-images", metavar="DIR", help="folder of their photos")
    add("--val-split", metavar="NAME", help="split to validate on, such as val")
    add_classes(parser)
    add_proposals(parser, photos="the photos to train on")
    add_proposals(parser, "--val-proposals", "the photos to validate on")
    add(
        "--output",
        metavar="DIR",
        type=Path,
        help="folder for checkpoints, history and evaluation (default "
        f"{default_output}; {default_output}2 and so on if there is a complete or "
        "another training)",
    )
    parser.set_defaults(default_output=Path(default_output))
    add(
        "--strategy",
        choices=STRATEGIES,
        default="none",
        help="devices: none, the one that Keras chooses; mirrored, all of this "
        "machine; multiworker, those of several machines; tpu (default %(default)s)",
    )
    add(
        "--save-every",
        **COUNT | {"metavar": "STEPS"},
        help="write a checkpoint also every so many steps (default: after each epoch "
        "and, on one machine, every ten minutes)",
    )
    add(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="seed of the random numbers (default %(default)s)",
    )
    threads = "threads that read photos (default: one per CPU core)"
    add("--workers", **COUNT, help=threads)
    flags = {
        "--deterministic": "use only operations that repeat their results to the bit; "
        "slower",
        "--no-tensorboard": f"write no TensorBoard logs (default: into {TENSORBOARD}/ "
        "of the output folder, if the backend is TensorFlow)",
    }
    add_options(parser, flags, **FLAG)


def open_devices(arguments: argparse.Namespace):
    """Returns the `Devices` to train on; call it before anything is computed.

    Raises:
        CommandError: there are no such devices.
    """
    from keras_fpn.distribute import make_devices
    from keras_fpn.training import make_deterministic

    if arguments.deterministic:
        make_deterministic()
    with reported(ValueError, RuntimeError):
        return make_devices(arguments.strategy)


def read_data(arguments: argparse.Namespace):
    """Returns the data sets to train and to measure on; the second may be None.

    Their classes are those of --classes, otherwise all that one of them has.

    Raises:
        CommandError: one cannot be read, neither has a class of --classes, or their
            classes differ and can only be selected by their readers.
    """
    from keras_fpn.data.open_dataset import reader_selects

    classes = selected_classes(arguments)
    with reported(ValueError, OSError):
        by_reader = [reader_selects(arguments.dataset, arguments.split)]
    if arguments.val is not None or arguments.val_split is not None:
        place = arguments.val or arguments.dataset, arguments.val_split
        with reported(ValueError, OSError, prefix=_ROLE, options=_VALIDATION):
            by_reader.append(reader_selects(*place))
    names = classes if by_reader[0] else None
    dataset = read_dataset(
        arguments.dataset, arguments.images, arguments.split, class_names=names
    )
    dataset = with_file(dataset, arguments.proposals, TRAINED)
    if len(by_reader) == 1 or any(by_reader):
        [dataset] = _with_same_classes([dataset], classes)
    if len(by_reader) == 1:
        return dataset, None
    names = dataset.class_names if any(by_reader) else None
    validation = _read_validation(arguments, names)
    if not any(by_reader):
        dataset, validation = _with_same_classes([dataset, validation], classes)
    return dataset, validation


def _read_validation(arguments, class_names):
    """Returns the data set to measure on.

    Args:
        class_names: tuple of str, those of the data set to train on, if all objects
            must be of these; None for its own.
    """

    def look(report):
        found = [kind for kind in _OTHER_CLASSES if kind in report.counts]
        if class_names is not None and found:
            raise ValueError(
                "its objects must be of the classes of the training data, "
                f"{', '.join(class_names)}; received "
                f"{report.counts[found[0]]} of others, such as "
                f"{report.examples[found[0]][0]}. Give both the same classes."
            )

    validation = read_dataset(
        arguments.val or arguments.dataset,
        arguments.val_images or (None if arguments.val else arguments.images),
        arguments.val_split,
        look,
        _ROLE,
        _VALIDATION,
        class_names=class_names,
    )
    return with_file(validation, arguments.val_proposals, TESTED)


def _with_same_classes(datasets, classes):
    """Returns data sets, the first to train on, with the classes asked for or all.

    Args:
        classes: list of str, or None for all that one of them has.
    """
    from keras_fpn.data.classes import union_of_classes, with_classes

    names = union_of_classes(*datasets)
    absent = [name for name in classes or () if name not in names]
    if absent:
        raise CommandError(
            "--classes must be classes of the data; received "
            f"{', '.join(absent)}; the data have {', '.join(names)}."
        )
    kept = classes or names
    unseen = [name for name in kept if name not in datasets[0].class_names]
    if unseen:
        print(
            "Only the data to measure on have these classes, which cannot be learned: "
            f"{', '.join(unseen)}.",
            file=sys.stderr,
        )
    return [with_classes(one, kept) for one in datasets]


def run_training(plan, dataset, validation, arguments: argparse.Namespace, devices):
    """Trains, shows the progress, and evaluates the best checkpoint.

    Args:
        plan: `keras_fpn.training.TrainingPlan`.
        dataset, validation: `keras_fpn.data.Dataset`; the second may be None.
        arguments: with those of `add_training_options`.
        devices: what `open_devices` returned.

    Returns:
        int, the exit code.

    Raises:
        CommandError: the folder, the devices or the data do not fit, or the training
            diverged.
    """
    from keras_fpn.training import Terminated, TrainingDiverged, prepare_training

    output = arguments.output or _folders(arguments.default_output, validation)
    with reported(ValueError, OSError):
        training = prepare_training(
            plan, dataset, output, validation, devices, arguments.seed
        )
    if devices.is_chief:
        if arguments.output is None and training.folder.path != output.first:
            print(
                f"{output.first} holds a complete training or another one; this one "
                f"is in {training.folder.path}."
            )
        print(_summary(training), flush=True)  # before what goes to stderr
        if validation is not None:
            tell_if_without_page()  # early: it can be installed while this runs
    try:
        with reported(TrainingDiverged, OSError, code=1):
            with contextlib.ExitStack() as stack:
                shown = _callbacks(training, arguments) if devices.is_chief else []
                training.run(
                    [stack.enter_context(callback) for callback in shown],
                    save_every=arguments.save_every,
                    workers=arguments.workers,
                )
            if devices.is_chief:
                _evaluate(training.folder, validation)
                _announce(training.folder.result, arguments)
    except KeyboardInterrupt:
        print(
            f"Interrupted. The same command resumes from {training.folder.path}.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except Terminated as ended:
        print(
            "Asked to end (SIGTERM), and saved. The same command resumes from "
            f"{training.folder.path}.",
            file=sys.stderr,
        )
        return ended.code
    return 0


def _folders(first, validation):
    """Returns the folders of which a training takes the first that suits it."""
    from keras_fpn.report.evaluation_files import METRICS
    from keras_fpn.training import NumberedFolders

    if validation is None:
        return NumberedFolders(first)
    return NumberedFolders(first, f"{EVALUATION}/{METRICS}")


def _callbacks(training, arguments):
    """Returns the callbacks that show the progress of a training, a list."""
    import keras

    from keras_fpn.training import Progress

    length, start = len(training.loader), training.start_step
    batch_size = training.plan.batch_size
    progress = Progress(training.total_steps, length, batch_size, start)
    if arguments.no_tensorboard:
        return [progress]
    if keras.backend.backend() != "tensorflow":
        print(
            "No TensorBoard logs: they are written by TensorFlow, and the backend is "
            f"{keras.backend.backend()}.",
            file=sys.stderr,
        )
        return [progress]
    from keras_fpn.training.tensorboard import TensorBoardLog

    folder = training.folder.path / TENSORBOARD
    return [progress, TensorBoardLog(folder, length, start, training.evaluation)]


def _summary(training):
    loader, start, plan = training.loader, training.start, training.plan
    parts = [
        f"{plan.name}: {training.model.count_params() / 1e6:.1f} M parameters",
        f"{len(loader.dataset)} photos, {len(loader)} steps of {plan.batch_size} "
        f"images per epoch, {training.total_steps} steps in total",
        f"folder {training.folder.path}",
    ]
    if training.folder.finished:
        parts.append("the training has ended and is only evaluated again")
    elif training.start_step:
        parts.append(f"resumes at epoch {start.epoch + 1}, step {start.batch + 1}")
    return "; ".join(parts)


def _evaluate(folder, validation):
    """Evaluates the best checkpoint of a `RunFolder`, if there are data to measure on.

    Without such data, or if no epoch could be measured, it is the last checkpoint.
    """
    checkpoint = folder.result
    if validation is not None:
        if checkpoint == folder.last:
            print(
                f"There is no {folder.best}: no epoch could be measured. "
                f"{folder.last.name} is evaluated instead.",
                file=sys.stderr,
            )
        import keras

        model = keras.models.load_model(checkpoint)
        output, name = folder.path / EVALUATION, str(checkpoint)
        evaluate(model, validation, output, name, epochs=folder.epochs)


def _announce(checkpoint, arguments):
    """Prints what can be done with a checkpoint."""
    measuring = measuring_command(arguments, checkpoint)
    print(f"Checkpoint: {checkpoint}")
    if measuring is not None:
        print(f"To measure it on the test split: {measuring}")
    print(
        f"To detect with it: keras-fpn detect PHOTO --weights {quote(str(checkpoint))}"
    )
