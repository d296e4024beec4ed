"""`keras-fpn evaluate`: how good a detector is on a data set, in COCO's numbers."""

import sys
from pathlib import Path

from keras_fpn.cli.errors import INTERRUPTED, CommandError, one_line
from keras_fpn.cli.evaluate_photos import (
    DETECTIONS,
    METRICS,
    PAGE,
    evaluate_photos,
    write_evaluation,
)
from keras_fpn.cli.load_detector import (
    DEFAULT_PRESET,
    PUBLISHED,
    RANDOM,
    add_detector_options,
    load_detector,
)


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a detector on a data set",
        description="Detects in every photo of a data set and compares with its "
        "annotations: prints COCO's average precision and recall, writes them as JSON, "
        "and as a page with curves and the worst mistakes.",
    )
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="file or folder of annotations")
    add("--images", metavar="DIR", help="folder of the photos, if it is elsewhere")
    add("--split", metavar="NAME", help="part of the data set, such as val")
    add_detector_options(parser)
    add(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("evaluation"),
        help=f"folder for {METRICS}, {DETECTIONS} and {PAGE} (default %(default)s)",
    )
    add(
        "--proposals",
        action="store_true",
        help="measure the proposals of the first stage, too",
    )
    return parser


def run(arguments):
    """Evaluates as the command line asks; returns the exit code."""
    output = arguments.output
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--output must be a folder: {one_line(error)}") from error
    dataset = _read(arguments)
    with_page = _page_is_possible()
    model, title = load_detector(arguments.preset, arguments.weights)
    try:
        evaluation = evaluate_photos(
            model, dataset, _subject(arguments), title, arguments.proposals
        )
    except KeyboardInterrupt:
        print("Interrupted: nothing was measured.", file=sys.stderr)
        return INTERRUPTED
    print(evaluation.text())
    written = write_evaluation(evaluation, output, with_page)
    print(f"\nIn {output}: {', '.join(written)}")
    return 0


def _page_is_possible():
    """Returns whether the page's packages are there; says how to get them if not."""
    from keras_fpn.report.extra import INSTALL, missing_packages

    missing = missing_packages()
    if missing:
        print(
            f"{PAGE} will not be written: it needs {' and '.join(missing)}. To "
            f"install: {INSTALL}",
            file=sys.stderr,
        )
    return not missing


def _subject(arguments):
    """Returns what the detector is called, str."""
    if arguments.weights in (None, PUBLISHED, RANDOM):
        return arguments.preset or DEFAULT_PRESET
    return Path(arguments.weights).name


def _read(arguments):
    """Returns the data set; if anything is wrong with it, that is said on stderr."""
    from keras_fpn.data import open_dataset

    def warn(report):
        if report.defects:
            print(report, file=sys.stderr)

    try:
        return open_dataset(
            arguments.dataset, arguments.images, arguments.split, report=warn
        )
    except (ValueError, OSError) as error:
        raise CommandError(one_line(error)) from error
