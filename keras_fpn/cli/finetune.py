"""`keras-fpn finetune`: trains a pretrained detector on your own photos."""

import argparse
import sys
from pathlib import Path

from keras_fpn.cli import existing
from keras_fpn.cli.errors import CommandError, reported
from keras_fpn.cli.load_detector import DEFAULT_PRESET, RANDOM, load_detector
from keras_fpn.cli.options import COUNT, add_options
from keras_fpn.cli.run_training import (
    add_training_options,
    open_devices,
    read_data,
    run_training,
)
from keras_fpn.cli.splits import choose_training_splits, training_summary

_NAMED = 8  # classes that a line lists
_HELD_OUT = (
    "The same held-out photos choose the best checkpoint and measure its AP, which is "
    "therefore a little too high: measure it on others with keras-fpn evaluate."
)


def add_parser(commands):
    """Adds the command to the subcommands of argparse; returns its parser."""
    parser = commands.add_parser(
        "finetune",
        help="train a published detector on your own photos",
        description="Trains a pretrained detector on your own photos. Options that "
        "you leave out are chosen by the data. The same command resumes a training "
        "that was interrupted, even one that was killed.",
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
        type=existing.path_or_name,
        help="what to start from: a detector, which is a .keras file, the folder of a "
        "training, or hf://USER/MODEL; or weights of a preset's architecture: "
        "torchvision's .pth, detectron2's .pkl, or .weights.h5 (default: the published "
        "weights, downloaded once)",
    )
    counts = {
        "--epochs": "passes over the photos (default: 12 to 100, for 2000 steps)",
        "--batch-size": "images per step over all devices (default: 2 to 16 each)",
        "--min-size": "resize photos to this shorter side in pixels (default: as the "
        "preset)",
        "--max-size": "limit of the longer side in pixels (default: in proportion)",
    }
    add_options(parser, counts, **COUNT)
    add(
        "--learning-rate",
        metavar="RATE",
        type=rate,
        help="the highest learning rate (default: 0.02 for 16 images per step, in "
        "proportion for others)",
    )
    return parser


def rate(text: str):
    """Returns a number above 0, float; argparse shows the name of this function."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0; received {text}")
    return value


def run(arguments: argparse.Namespace):
    """Fine-tunes as the command line says; returns the exit code."""
    from keras_fpn.data.semantic import classes_for
    from keras_fpn.training import finetuning_plan

    devices = open_devices(arguments)
    dataset, validation = _data(arguments, devices)
    source = _source(arguments)
    start = arguments.weights or arguments.preset or DEFAULT_PRESET
    with reported(ValueError):
        plan = finetuning_plan(
            source,
            dataset,
            name=f"finetune {Path(start).name}",
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            min_size=arguments.min_size,
            max_size=arguments.max_size,
            replicas=devices.replicas,
        )
    if devices.is_chief:
        print(_class_summary(source, classes_for(source, dataset)[0]))
        if "masks" in source.targets:
            print(_mask_summary(dataset))
        if arguments.val is None and arguments.val_split is None:
            print(_HELD_OUT, file=sys.stderr)
    return run_training(plan, dataset, validation, arguments, devices)


def _data(arguments, devices):
    """Returns the data sets to train and to measure on."""
    from keras_fpn.data.hold_out import hold_out

    choose_training_splits(arguments, "to hold out some of its photos instead")
    dataset, validation = read_data(arguments)
    if validation is None:
        with reported(ValueError):
            dataset, validation = hold_out(dataset)
    if devices.is_chief:
        print(training_summary(dataset, validation))
    return dataset, validation


def _source(arguments):
    """Returns the detector to start from."""
    if arguments.weights == RANDOM:
        raise CommandError(
            "Fine-tuning must start from trained weights; received --weights "
            f"{RANDOM}. To train from scratch: keras-fpn train."
        )
    return load_detector(arguments.preset, arguments.weights)[0]


def _class_summary(source, class_names):
    """Returns a line that says which classes the detector already knows."""
    from keras_fpn.training.transfer import kept_classes

    kept = kept_classes(source, class_names)
    new = [name for name in class_names if name not in kept]
    if not new:
        return f"All classes are known to the detector: {_listed(class_names)}."
    if not kept:
        return f"All classes are new to the detector: {_listed(new)}."
    return f"Known to the detector: {_listed(kept)}. New to it: {_listed(new)}."


def _mask_summary(dataset):
    """Returns a line that says how many objects have a mask to train on."""
    objects = [p.objects for p in dataset.photos]
    masks = sum(bool(one) for each in objects for one in each.segments or ())
    count = sum(len(each) for each in objects)
    return f"Boxes and masks are trained: {masks} of {count} objects have a mask."


def _listed(names):
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
