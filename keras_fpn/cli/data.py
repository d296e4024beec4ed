"""`keras-fpn data`: checks, shows and generates data sets."""

from pathlib import Path

from keras_fpn.cli.errors import CommandError, reported
from keras_fpn.cli.load_detector import DEFAULT_PRESET
from keras_fpn.cli.options import (
    COUNT,
    add_dataset_options,
    add_options,
    add_output,
    add_size_options,
    selected_classes,
)
from keras_fpn.cli.terminal import photo_progress

ANNOTATIONS, PANOPTIC = "instances.json", "panoptic.json"
AUGMENTATIONS = ("flip", "crop", "color", "scale", "jitter", "paste")


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "data",
        help="check, look at or generate a data set",
        description="Checks and shows data sets in any of the common formats, and "
        "generates one.",
    )
    actions = parser.add_subparsers(
        title="what to do", metavar="ACTION", dest="action", required=True
    )
    check = actions.add_parser(
        "check",
        help="report what is in a data set and what is wrong with it",
        description="Reads a data set, each of its splits, and reports what is in it "
        "and what is wrong with it. The exit code is 1 if anything is wrong, even if "
        "the rest can be used.",
    )
    looking = actions.add_parser(
        "look",
        help="draw photos with their objects as a detector sees them in training",
        description="Draws photos with their objects as a detector sees them in "
        "training, reports what is wrong with the data set, and prints which fraction "
        "of its objects no anchor of the detector reaches. Of several splits it is the "
        "one to train on.",
    )
    scenes = actions.add_parser(
        "scenes",
        help="generate a data set of simple shapes",
        description="Generates pictures of eight classes of shapes at all scales, with "
        "boxes and masks, and writes them as a COCO data set.",
    )
    _add_scenes_options(scenes)
    for action in (check, looking):
        add_dataset_options(action, "train")
    _add_look_options(looking)
    return parser


def _add_look_options(parser):
    add = parser.add_argument
    add_output(parser, "look", "the pictures")
    add("--count", **COUNT, default=12, help="draw N photos (default %(default)s)")
    add(
        "--preset",
        metavar="NAME",
        help=f"model whose photo size and anchors are used (default {DEFAULT_PRESET})",
    )
    add_size_options(parser, "the preset")
    add(
        "--augment",
        metavar="NAME",
        nargs="+",
        type=_augmentation,
        choices=AUGMENTATIONS,
        default=[],
        help="augment photos as training does, in the given order: one or more of "
        f"{', '.join(AUGMENTATIONS)}",
    )
    helps = {
        "--seed": "seed of the random numbers (default %(default)s)",
        "--epoch": "epoch to show, from 0; photos and their augmentation differ "
        "between epochs (default %(default)s)",
    }
    add_options(parser, helps, metavar="N", type=int, default=0)


def _augmentation(name):
    return "color" if name == "colour" else name  # its former spelling


def _add_scenes_options(parser):
    add = parser.add_argument
    add(
        "output",
        metavar="DIR",
        type=Path,
        help=f"folder to write {ANNOTATIONS} and the folder images into",
    )
    add(
        "--count",
        **COUNT,
        default=1000,
        help="generate N pictures (default %(default)s)",
    )
    add(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="seed of the random numbers; each seed gives other pictures (default "
        "%(default)s)",
    )
    add(
        "--size",
        **COUNT | {"metavar": "PIXELS"},
        nargs=2,
        default=(320, 320),
        help="height and width of the pictures (default 320 320)",
    )
    add(
        "--png",
        action="store_true",
        help="write PNG, which is exact but larger, instead of JPEG",
    )
    add(
        "--panoptic",
        action="store_true",
        help="write a COCO panoptic data set, in which textures and clutter are stuff: "
        f"{PANOPTIC} and the folder panoptic instead of {ANNOTATIONS}",
    )


def run(arguments):
    """Checks, shows or generates as the command line asks; returns the exit code."""
    if arguments.action == "scenes":
        return _write_scenes(arguments)
    if arguments.action == "check":
        return _check(arguments)
    from keras_fpn.cli.look import look

    dataset, _ = _read(arguments, _splits(arguments)[0])
    return look(dataset, arguments)


def _check(arguments):
    """Reports on each split of a data set; returns the exit code."""
    code, defects = 0, 0
    for place, split in enumerate(_splits(arguments)):
        print(end="\n" if place else "")
        try:
            _, report = _read(arguments, split, _check_pixels)
            defects += sum(report.defects.values())
        except CommandError as error:
            code = max(code, error.report())
    if defects:
        code = max(code, 1)
        noun = "defect" if defects == 1 else "defects"
        print(
            f"\n{defects} {noun}: the exit code is {code}. "
            "The lines above say what is left out or changed; the rest can be used as "
            "it is."
        )
    return code


def _splits(arguments):
    """Returns the splits to report on, list of str, train first; [None] for all."""
    from keras_fpn.data.open_dataset import other_splits, splits_of

    if arguments.split is not None:
        return [arguments.split]
    with reported(ValueError, OSError):
        splits = splits_of(arguments.dataset)
        names = [*splits, *other_splits(arguments.dataset)]
    if {"train", "val"} <= set(splits):
        names = [name for name in names if name != "trainval"]  # both together
    return names if len(names) > 1 else [None]


def _read(arguments, split, look=None):
    """Returns a data set and its Report, which it prints.

    Args:
        look: function of both, which adds to the report.
    """
    from keras_fpn.data import open_dataset

    reports = []
    try:
        with reported(ValueError, OSError):
            dataset = open_dataset(
                arguments.dataset,
                images=arguments.images,
                split=split,
                class_names=selected_classes(arguments),
                report=reports.append,
            )
            if look is not None:
                look(dataset, reports[0])
    finally:
        print(*reports, sep="\n", end="\n" if reports else "")
    return dataset, reports[0]


def _check_pixels(dataset, report):
    """Reads all label images, with a progress bar; adds defects to the report."""
    from keras_fpn.data.check import check_pixel_labels

    if not dataset.semantic_names:
        return
    with photo_progress() as bar:
        check_pixel_labels(
            dataset,
            report,
            lambda photos: bar.track(photos, description="Reading labels"),
        )


def _write_scenes(arguments):
    """Generates the data set; returns the exit code."""
    from keras_fpn.data.scenes import write_scenes

    name = PANOPTIC if arguments.panoptic else ANNOTATIONS
    if (arguments.output / name).exists():
        raise CommandError(
            f"The folder must not contain {name} yet; received "
            f"{arguments.output}, which does. Name another folder, or delete it."
        )
    suffix = ".png" if arguments.png else ".jpg"
    with reported(ValueError, OSError):
        path = write_scenes(
            arguments.output,
            arguments.count,
            arguments.seed,
            tuple(arguments.size),
            suffix=suffix,
            stuff=arguments.panoptic,
        )
    print(f"{arguments.count} scenes; annotations: {path}")
    return 0
