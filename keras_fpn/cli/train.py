"""`keras-fpn train`: trains a detector by a recipe, on one device or many."""

import argparse
from pathlib import Path

from keras_fpn.cli.errors import reported
from keras_fpn.cli.options import COUNT, add_options
from keras_fpn.cli.run_training import (
    add_training_options,
    open_devices,
    read_data,
    run_training,
)
from keras_fpn.cli.splits import choose_training_splits, training_summary


def add_parser(commands):
    """Adds the command to the subcommands of argparse; returns its parser."""
    parser = commands.add_parser(
        "train",
        help="train a detector by a recipe",
        description="Trains a detector by a recipe, one of zoo/ or your own. The same "
        "command resumes a training that was interrupted, even one that was killed.",
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        type=Path,
        help="Python file that defines PLAN, a keras_fpn.training.TrainingPlan",
    )
    add_training_options(parser, default_output="runs/train")
    parser.add_argument(
        "--backbone-weights",
        metavar="FILE",
        help="ImageNet weights that the backbone starts from: 'imagenet', downloaded, "
        "or a file (default: as the recipe builds it)",
    )
    counts = {
        "--batch-size": "images per step over all devices; the learning rate changes "
        "in proportion, and steps inversely (default: the recipe's)",
        "--epochs": "passes over the photos (default: the recipe's)",
    }
    add_options(parser, counts, **COUNT)
    return parser


def run(arguments: argparse.Namespace):
    """Trains as the command line says; returns the exit code."""
    from keras_fpn.training import load_recipe

    with reported(ValueError):
        plan = load_recipe(arguments.recipe)
    if arguments.batch_size is not None:
        plan = plan.with_batch_size(arguments.batch_size)
    if arguments.epochs is not None:
        plan = plan.with_epochs(arguments.epochs)
    if arguments.backbone_weights is not None:
        plan = plan.with_backbone_weights(arguments.backbone_weights)
    choose_training_splits(arguments, "to train without measuring")
    dataset, validation = read_data(arguments)
    devices = open_devices(arguments)
    if devices.is_chief:
        print(training_summary(dataset, validation))
    return run_training(plan, dataset, validation, arguments, devices)
