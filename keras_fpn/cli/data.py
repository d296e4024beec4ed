"""`keras-fpn data`: what is in a data set, what is wrong with it, how it will look."""

from pathlib import Path

from keras_fpn.cli.detect import count
from keras_fpn.cli.errors import CommandError, one_line
from keras_fpn.cli.load_detector import DEFAULT_PRESET

AUGMENTATIONS = ("flip", "crop", "colour", "scale", "jitter", "paste")


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "data",
        help="check and look at a data set",
        description="Reads a data set: COCO, Pascal VOC, YOLO, CSV or label images.",
    )
    actions = parser.add_subparsers(
        title="what to do", metavar="ACTION", dest="action", required=True
    )
    check = actions.add_parser(
        "check",
        help="list what is in it and what is wrong with it",
        description="Reads a data set and reports what is in it and what is wrong with "
        "it. The exit code is 1 if anything is.",
    )
    look = actions.add_parser(
        "look",
        help="draw photos with their objects as a detector sees them",
        description="Draws photos with their objects as a detector sees them in "
        "training, reports what is wrong with the data set, and says which share of "
        "its objects no anchor of the detector reaches.",
    )
    for action in (check, look):
        add = action.add_argument
        add("dataset", metavar="DATASET", help="file or folder of annotations")
        add("--images", metavar="DIR", help="folder of the photos, if it is elsewhere")
        add("--split", metavar="NAME", help="part of the data set, such as train")
    _add_look_options(look)
    return parser


def _add_look_options(parser):
    add = parser.add_argument
    add(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("look"),
        help="folder for the pictures (default %(default)s)",
    )
    add(
        "--count",
        metavar="N",
        type=count,
        default=12,
        help="photos to draw (default %(default)s)",
    )
    add(
        "--preset",
        metavar="NAME",
        help=f"the detector that is to see them (default {DEFAULT_PRESET})",
    )
    for name, meaning in (
        ("--min-size", "resize the shorter side to so many pixels"),
        ("--max-size", "but the longer side to so many at the most"),
    ):
        text = f"{meaning} (default: as the preset was trained)"
        add(name, metavar="N", type=count, help=text)
    add(
        "--augment",
        metavar="NAME",
        nargs="+",
        choices=AUGMENTATIONS,
        default=[],
        help="change them as training does, in the order given: one or more of "
        f"{', '.join(AUGMENTATIONS)}",
    )
    for name, meaning in (
        ("--seed", "what chance is drawn for (default %(default)s)"),
        ("--epoch", "and in which epoch, from 0 (default %(default)s)"),
    ):
        add(name, metavar="N", type=int, default=0, help=meaning)


def run(arguments):
    """Checks or draws as the command line asks; returns the exit code."""
    found = []
    dataset = _read(arguments, found)
    print(found[0])
    faulty = bool(found[0].defects)
    if arguments.action == "check":
        return 1 if faulty else 0
    from keras_fpn.cli.look import look

    return look(dataset, arguments)


def _read(arguments, found):
    """Returns the data set; puts the report into `found`."""
    from keras_fpn.data import open_dataset

    try:
        return open_dataset(
            arguments.dataset,
            images=arguments.images,
            split=arguments.split,
            report=found.append,
        )
    except (ValueError, OSError) as error:
        for report in found:
            print(report)
        raise CommandError(one_line(error)) from error
