"""Options that several commands have, and what reads their values."""

import argparse
import sys
from pathlib import Path
from typing import Any

from keras_fpn.cli import existing
from keras_fpn.cli.errors import reported

_MOST = 10**7  # of whatever is counted: steps, epochs, photos, pixels


def count(text: str):
    """Returns an int, 1 to 10^7, from the command line; argparse shows this name."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; received {text}")
    if value > _MOST:
        raise argparse.ArgumentTypeError(f"must be at most {_MOST}; received {text}")
    return value


def factors(text: str):
    """Returns a tuple of float > 0 from the command line, which separates by commas."""
    values = tuple(float(one) for one in text.split(","))
    if not all(0 < value < float("inf") for value in values):
        raise argparse.ArgumentTypeError(f"must be above 0; received {text}")
    return values


MERGES = ("nms", "soft_nms", "weighted_boxes")  # as in keras_fpn.models.image_pyramid
# What options of one kind have in common, as `add_argument` takes it.
COUNT: dict[str, Any] = {"metavar": "N", "type": count}
FLAG: dict[str, Any] = {"action": "store_true"}


def add_options(parser, helps: dict[str, str], **settings):
    """Adds options that differ only in their names and help texts.

    Args:
        helps: dict of name -> help text.
        settings: what they share, such as `**COUNT`.
    """
    for name, text in helps.items():
        parser.add_argument(name, help=text, **settings)


def add_output(parser, default: str, content: str):
    """Adds --output, a folder; `content` is what is written into it."""
    text = f"folder for {content} (default %(default)s)"
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path(default), help=text
    )


def add_size_options(parser, trained: str):
    """Adds --min-size and --max-size; `trained` is what their defaults come from."""
    default = f"(default: as {trained} was trained)"
    helps = {
        "--min-size": f"resize photos so that the shorter side has N pixels {default}",
        "--max-size": f"but do not let the longer side exceed N pixels {default}",
    }
    add_options(parser, helps, **COUNT)


def add_view_options(parser):
    """Adds --scales, --flip and --merge."""
    parser.add_argument(
        "--scales",
        metavar="S,S,...",
        type=factors,
        help="detect at several sizes, factors of the usual one, and merge the results",
    )
    parser.add_argument(
        "--flip",
        **FLAG,
        help="detect in the mirrored photo too, and merge the results",
    )
    parser.add_argument(
        "--merge",
        choices=MERGES,
        default=MERGES[0],
        help="how the results of --scales and --flip are merged (default %(default)s); "
        "has no effect without them",
    )


def views(arguments):
    """Returns the arguments of `model.detect` that the options ask for, a dict."""
    if arguments.scales is None and not arguments.flip:
        return {}
    return {name: getattr(arguments, name) for name in ("scales", "flip", "merge")}


def add_dataset_options(parser, split: str):
    """Adds DATASET, --images and --split; `split` is an example of a name."""
    add = parser.add_argument
    add(
        "dataset",
        metavar="DATASET",
        type=existing.path,
        help="annotations: a file (COCO json, CSV, CVAT xml) or a folder (Pascal VOC, "
        "YOLO, labelme, label images; or train/, valid/ and test/ with any of these)",
    )
    add(
        "--images",
        metavar="DIR",
        help="folder of the photos, if they are not where the annotations say",
    )
    add("--split", metavar="NAME", help=f"part of the data set, such as {split}")
    add_classes(parser)


def add_classes(parser):
    """Adds --classes."""
    parser.add_argument(
        "--classes",
        metavar="NAMES|FILE",
        help="classes to read, in the order of their labels: names separated by "
        "commas, or a file with one per line (default: all)",
    )


def selected_classes(arguments):
    """Returns the names that --classes asks for, list of str; None for all.

    Raises:
        CommandError: there is none, one is repeated, or the file cannot be read.
    """
    from keras_fpn.data.text_files import class_list

    text = arguments.classes
    if text is None:
        return None
    is_file = Path(text).is_file() or Path(text).suffix in (".txt", ".csv", ".names")
    with reported(ValueError, OSError, prefix="--classes: "):
        names = [name.strip() for name in text.split(",")]
        return list(class_list(text if is_file else [n for n in names if n]) or ())


def read_dataset(path, images, split, look=None, role: str = "", named=None, **options):
    """Returns a data set; prints its report on stderr if it has defects.

    Args:
        look: function of the report, which raises a ValueError for other faults.
        role: str, begins an error message: what the data are for.
        named: dict of argument -> option, as for `reported`.
        options: further ones of `keras_fpn.data.open_dataset`.

    Raises:
        CommandError: it cannot be read.
    """
    from keras_fpn.data import open_dataset

    def report(found):
        if found.defects:
            print(found, file=sys.stderr)
        if look is not None:
            look(found)

    with reported(ValueError, OSError, prefix=role, options=named):
        return open_dataset(path, images, split, report=report, **options)
