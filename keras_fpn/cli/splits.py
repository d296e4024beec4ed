"""The splits of a data set that a command takes, if its options leave them open."""

import shlex

from keras_fpn.cli.errors import CommandError, reported

_TRAINED, _VALIDATED = ("train", "trainval"), "val"
_MEASURED = ("test", "val")


def choose_training_splits(arguments, alone: str):
    """Sets --split and --val-split, if the data set has splits of the usual names.

    Args:
        arguments: with "dataset", "split", "val" and "val_split".
        alone: str, what --split without --val-split is good for, "to hold out ...".

    Raises:
        CommandError: the data set cannot be found, or has other splits, which could be
            meant.
    """
    from keras_fpn.data.split_names import usual_split

    splits, others = _splits(arguments.dataset)
    is_asked = arguments.split is not None
    if not is_asked:
        found = [split for split in _TRAINED if split in splits]
        arguments.split = found[0] if found else None
    if not is_asked and arguments.split is None and len(splits) + len(others) > 1:
        raise CommandError(
            "The split to train on must be called train; received "
            f"{arguments.dataset} with {', '.join([*splits, *others])}. Pass --split "
            "NAME, and --val-split NAME to measure on another."
        )
    if arguments.val is not None or arguments.val_split is not None:
        return
    is_train = usual_split(arguments.split or "") == _TRAINED[0]
    if is_train and _VALIDATED in splits:
        arguments.val_split = _VALIDATED
    elif not is_asked and arguments.split is not None and others:
        raise CommandError(
            "The split to measure on must be called val, valid or validation; received "
            f"{arguments.dataset} with {', '.join([*splits, *others])}. Pass "
            f"--val-split NAME, or --split {arguments.split} {alone}."
        )


def training_summary(dataset, validation):
    """Returns a line that says which photos are trained and measured on."""
    line = f"Photos to train on: {len(dataset)} ({dataset.name}); "
    if validation is None:
        return line + "to validate on: none, so no AP is measured"
    return line + f"to validate on: {len(validation)} ({validation.name})"


def measuring_command(arguments, weights):
    """Returns the command that measures a training on the test split.

    Args:
        arguments: those of the training.
        weights: Path of its checkpoint.

    Returns:
        str; None if the data set has no test split, or that is used already.
    """
    from keras_fpn.data.split_names import usual_split

    used = {usual_split(name or "") for name in (arguments.split, arguments.val_split)}
    there = _MEASURED[0] in _splits(arguments.dataset)[0]
    if not there or _MEASURED[0] in used or arguments.proposals is not None:
        return None  # proposals are those of other photos
    options = {"--images": arguments.images, "--classes": arguments.classes}
    given = {name: value for name, value in options.items() if value is not None}
    words = [word for option in given.items() for word in option]
    command = ["keras-fpn", "evaluate", arguments.dataset, *words, "--weights", weights]
    return shlex.join(map(str, command))


def split_to_measure(path):
    """Returns the split that is measured on without --split, and the others.

    Returns:
        str, or None for a data set that is one split; and the names of the other
        splits, list of str.

    Raises:
        CommandError: the data set cannot be found, or none of its splits is the usual
            one.
    """
    splits, others = _splits(path)
    found = [split for split in _MEASURED if split in splits]
    names = [*splits, *others]
    if not found and len(names) > 1:
        raise CommandError(
            "The split to measure on must be called test or val; received "
            f"{path} with {', '.join(names)}. Pass --split NAME."
        )
    if not found or len(names) == 1:
        return None, []
    return found[0], [name for name in names if name != found[0]]


def _splits(path):
    """Returns the usual splits of a data set and its others, two lists of str."""
    from keras_fpn.data.open_dataset import other_splits, splits_of

    with reported(ValueError, OSError):
        return splits_of(path), other_splits(path)
