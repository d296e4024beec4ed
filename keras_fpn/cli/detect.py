"""`keras-fpn detect`: finds objects in photos, draws them, writes COCO's results."""

import argparse
from pathlib import Path

from keras_fpn.cli.detect_photos import detect_photos, write_json
from keras_fpn.cli.errors import INTERRUPTED, CommandError, one_line
from keras_fpn.cli.load_detector import add_detector_options, load_detector
from keras_fpn.cli.photo_files import find_photos, sample_photo

DEFAULT_THRESHOLD = 0.5  # a picture with all boxes above 0.05 shows little else


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "detect",
        help="find objects in photos",
        description="Finds objects in photos, draws them with names and scores, and "
        "writes them as COCO results if asked to.",
    )
    add = parser.add_argument
    add("photos", nargs="*", metavar="PHOTO", help="image file, or folder of them")
    add(
        "--sample",
        action="store_true",
        help="take the picture that comes with the preset, or else with keras_fpn",
    )
    add_detector_options(parser)
    add(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("out"),
        help="folder for the pictures (default %(default)s)",
    )
    add("--json", metavar="FILE", type=Path, help="write the boxes as COCO results")
    add(
        "--threshold",
        metavar="SCORE",
        type=score,
        default=DEFAULT_THRESHOLD,
        help="keep boxes that score above it, 0 to 1 (default %(default)s)",
    )
    for name, meaning in (
        ("--max-detections", "most boxes per photo, the best first"),
        ("--min-size", "resize the shorter side to so many pixels"),
        ("--max-size", "but the longer side to so many at the most"),
    ):
        text = f"{meaning} (default: as the model was trained)"
        add(name, metavar="N", type=count, help=text)
    return parser


def run(arguments):
    """Detects in the photos that the command line names; returns the exit code."""
    named = [*arguments.photos, *_sample(arguments)]
    if not named:
        raise CommandError("Name at least one photo or folder, or give --sample.")
    photos = find_photos(named)
    _check_targets(named, arguments.output, arguments.json)
    model, title = load_detector(arguments.preset, arguments.weights)
    outcome = detect_photos(
        model,
        photos,
        arguments.output,
        title=title,
        min_size=arguments.min_size,
        max_size=arguments.max_size,
        score_threshold=arguments.threshold,
        max_detections=arguments.max_detections,
    )
    if arguments.json is not None:
        write_json(outcome.results, arguments.json)
    print(_summary(outcome, arguments.json))
    if outcome.interrupted:
        return INTERRUPTED
    return 1 if outcome.failed else 0


def _sample(arguments):
    """Returns the sample photo in a list, if it is asked for."""
    return [sample_photo(arguments.preset)] if arguments.sample else []


def _check_targets(named, output, json_file):
    folders = {Path(path).resolve() for path in named if Path(path).is_dir()}
    if output.resolve() in folders:
        raise CommandError(
            "The pictures must not go where the photos are, or the next run takes them "
            f"for photos; received --output {output}. Name another folder."
        )
    if json_file is not None and json_file.is_dir():
        raise CommandError(f"--json must be a file; received the folder {json_file}.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--output must be a folder: {one_line(error)}") from error


def _summary(outcome, json_file):
    """Returns the command's last line."""
    pictures = outcome.pictures
    boxes = _counted(len(outcome.results), "box", "es")
    parts = [f"{_counted(len(pictures), 'photo')}, {boxes}, {outcome.seconds:.1f} s"]
    if outcome.failed:
        parts.append(f"{_counted(outcome.failed, 'photo')} failed")
    if outcome.interrupted:
        parts.append("interrupted")
    if len(pictures) == 1:
        parts.append(f"picture: {pictures[0]}")
    elif pictures:
        parts.append(f"pictures in {pictures[0].parent}")
    if json_file is not None:
        parts.append(f"results: {json_file}")
    return "; ".join(parts)


def _counted(number, noun, plural="s"):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{plural}"


def score(text):
    """Returns a score of 0..1 from the command line; argparse shows this name."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be 0 to 1; received {text}")
    return value


def count(text):
    """Returns a whole number, at least 1, from the command line; see `score`."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; received {text}")
    return value
