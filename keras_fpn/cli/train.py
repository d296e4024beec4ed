"""`keras-fpn train`: trains a detector by a recipe, on one device or many."""

import argparse
from pathlib import Path

from keras_fpn.cli.detect import count
from keras_fpn.cli.errors import CommandError, one_line
from keras_fpn.cli.run_training import add_training_options, read_data, run_training


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "train",
        help="train a detector by a recipe",
        description="Trains a detector by a recipe of zoo/, or by your own. Started "
        "again with the same arguments, it goes on where it was stopped, even killed.",
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        type=Path,
        help="Python file with PLAN, a keras_fpn.training.TrainingPlan",
    )
    add_training_options(parser, default_output="runs/train")
    parser.add_argument(
        "--backbone-weights",
        metavar="FILE",
        help="ImageNet weights to start the backbone from: 'imagenet', downloaded, or "
        "a file",
    )
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=count,
        help="images per step over all devices; the learning rate changes in "
        "proportion (default: the recipe's)",
    )
    parser.add_argument(
        "--epochs", metavar="N", type=count, help="(default: the recipe's)"
    )
    return parser


def run(arguments):
    """Trains as the command line asks; returns the exit code."""
    plan = _changed(_plan_of(arguments.recipe), arguments)
    dataset, validation = read_data(arguments)
    return run_training(plan, dataset, validation, arguments)


def _plan_of(path):
    """Returns the `PLAN` of a recipe's file."""
    import importlib.util

    from keras_fpn.training import TrainingPlan

    if not path.is_file():
        raise CommandError(
            f"RECIPE must be a Python file; received {path}, which does not exist."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"RECIPE must be a Python file (.py); received {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plan = getattr(module, "PLAN", None)
    if not isinstance(plan, TrainingPlan):
        raise CommandError(
            "A recipe must define PLAN, a keras_fpn.training.TrainingPlan; received "
            f"{path} with PLAN={plan!r}."
        )
    return plan


def _changed(plan, arguments: argparse.Namespace):
    """Returns the plan as the command line changes it."""
    import dataclasses

    if arguments.batch_size is not None:
        plan = plan.with_batch_size(arguments.batch_size)
    if arguments.epochs is not None:
        plan = dataclasses.replace(plan, epochs=arguments.epochs, steps=None)
    weights = arguments.backbone_weights
    if weights is None:
        return plan

    def build(class_names, category_ids):
        from keras_fpn.weights import load_imagenet

        model = plan.build(class_names, category_ids)
        try:
            load_imagenet(model.backbone, weights)
        except (ValueError, OSError) as error:
            raise CommandError(
                f"--backbone-weights {weights}: {one_line(error)}"
            ) from error
        return model

    return dataclasses.replace(plan, build=build)
