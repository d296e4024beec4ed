"""`keras-fpn finetune`: trains a detector that has learnt on other photos on yours."""

import argparse
from pathlib import Path

from keras_fpn.cli.detect import count
from keras_fpn.cli.errors import CommandError, one_line
from keras_fpn.cli.load_detector import (
    DEFAULT_PRESET,
    PUBLISHED,
    RANDOM,
    load_detector,
)
from keras_fpn.cli.run_training import (
    add_training_options,
    open_devices,
    read_data,
    run_training,
)

_TRAINED, _MEASURED = ("train", "trainval"), "val"  # splits that are taken unasked
_NAMED = 8  # classes that a line lists


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "finetune",
        help="train a published detector on your own photos",
        description="Trains a detector that has learnt on other photos on yours. What "
        "you do not say is chosen by the data. Started again with the same arguments, "
        "it goes on where it was stopped, even killed.",
    )
    add_training_options(parser, default_output="runs/finetune")
    add = parser.add_argument
    add(
        "--preset",
        metavar="NAME",
        help=f"published model to start from (default {DEFAULT_PRESET})",
    )
    add(
        "--weights",
        metavar="FILE",
        help="start from this file: a detector saved as .keras; or, for the preset's "
        "architecture, torchvision's .pth, or .weights.h5 (default: the published "
        "weights, downloaded once)",
    )
    for name, meaning in (
        ("--epochs", "passes over the photos (default: 12 to 100, for 2000 steps)"),
        ("--batch-size", "images per step over all devices (default: 2 to 16 each)"),
        (
            "--min-size",
            "resize the shorter side to so many pixels (default: as is)",
        ),
        ("--max-size", "but the longer side to so many at the most"),
    ):
        add(name, metavar="N", type=count, help=meaning)
    add(
        "--learning-rate",
        metavar="RATE",
        type=rate,
        help="the highest (default: 0.02 for 16 images per step, and in proportion)",
    )
    return parser


def rate(text):
    """Returns a number above 0 from the command line; argparse shows this name."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0; received {text}")
    return value


def run(arguments):
    """Fine-tunes as the command line asks; returns the exit code."""
    from keras_fpn.training.finetune import finetuning_plan

    devices = open_devices(arguments)
    dataset, validation = _data(arguments, devices)
    source = _source(arguments)
    try:
        plan = finetuning_plan(
            source,
            dataset,
            name=f"finetune {Path(arguments.weights or _preset(arguments)).name}",
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            min_size=arguments.min_size,
            max_size=arguments.max_size,
            replicas=devices.replicas,
        )
    except ValueError as error:
        raise CommandError(one_line(error)) from error
    if devices.is_chief:
        print(_about_predictor(source, dataset.class_names))
    return run_training(plan, dataset, validation, arguments, devices)


def _data(arguments, devices):
    """Returns the data sets to train and to measure on, both not None."""
    from keras_fpn.data.hold_out import hold_out
    from keras_fpn.data.open_dataset import splits_of

    try:
        splits = splits_of(arguments.dataset)
        if arguments.split is None:
            found = [split for split in _TRAINED if split in splits]
            arguments.split = found[0] if found else None
        unasked = arguments.val is None and arguments.val_split is None
        if unasked and arguments.split == _TRAINED[0] and _MEASURED in splits:
            arguments.val_split = _MEASURED
        dataset, validation = read_data(arguments)
        if validation is None:
            dataset, validation = hold_out(dataset)
    except ValueError as error:
        raise CommandError(one_line(error)) from error
    if devices.is_chief:
        print(
            f"Photos to train on: {len(dataset)} ({dataset.name}); to measure AP on: "
            f"{len(validation)} ({validation.name})"
        )
    return dataset, validation


def _preset(arguments):
    return arguments.preset or DEFAULT_PRESET


def _source(arguments):
    """Returns the detector to start from."""
    if arguments.weights == RANDOM:
        raise CommandError(
            "Fine-tuning must start from weights that have learnt something; received "
            f"--weights {RANDOM}. To train from scratch: keras-fpn train."
        )
    try:
        return load_detector(arguments.preset, arguments.weights)[0]
    except CommandError as error:
        downloaded = arguments.weights in (None, PUBLISHED)
        if not downloaded or not isinstance(error.__cause__, OSError):
            raise
        raise CommandError(f"{error} {_offline()}", error.code) from error


def _offline():
    """Returns what works without a network, str."""
    import keras_fpn

    shipped = list(keras_fpn.weights.SHIPPED)
    presets = f", or --preset {' or '.join(shipped)}" if shipped else ""
    return f"Without a network give --weights FILE{presets}."


def _about_predictor(source, class_names):
    """Returns a line that says what the detector knows of the classes already."""
    from keras_fpn.training.transfer import kept_classes

    kept = kept_classes(source, class_names)
    new = [name for name in class_names if name not in kept]
    if not new:
        return f"All classes are known to the detector: {_listed(class_names)}."
    if not kept:
        return f"New box predictor, for the classes are new: {_listed(new)}."
    return f"Known to the detector: {_listed(kept)}. New to it: {_listed(new)}."


def _listed(names):
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
