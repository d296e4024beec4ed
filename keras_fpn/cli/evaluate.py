"""`keras-fpn evaluate`: how good a detector is on a data set, in COCO's numbers."""

import sys
from pathlib import Path

from keras_fpn.cli.errors import INTERRUPTED, make_output, reported
from keras_fpn.cli.load_detector import (
    DEFAULT_PRESET,
    PUBLISHED,
    RANDOM,
    add_detector_options,
    load_detector,
)
from keras_fpn.cli.options import (
    add_dataset_options,
    add_output,
    add_view_options,
    read_dataset,
    selected_classes,
    views,
)
from keras_fpn.cli.proposals import TESTED, add_proposals, with_file
from keras_fpn.cli.splits import split_to_measure
from keras_fpn.cli.terminal import photo_progress


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a detector on a data set",
        description="Detects objects in every photo of a data set and compares them "
        "with its annotations. Prints COCO's average precision and recall, and writes "
        "them as JSON and as a page with curves and the worst mistakes.",
    )
    add_dataset_options(parser, "val")
    add_detector_options(parser)
    files = "metrics.json, detections.json and index.html"
    add_output(parser, "evaluation", files)
    add_proposals(parser)
    parser.add_argument(
        "--proposal-recall",
        action="store_true",
        help="also measure the recall of the first stage's proposals",
    )
    add_view_options(parser)
    return parser


def run(arguments):
    """Evaluates as the command line asks; returns the exit code."""
    make_output(arguments.output)
    dataset = _data(arguments)
    dataset = with_file(dataset, arguments.proposals, TESTED)
    tell_if_without_page()
    model, title = load_detector(arguments.preset, arguments.weights)
    notes = [f"{title}."] if title else []
    try:
        evaluate(
            model,
            dataset,
            arguments.output,
            _model_name(arguments),
            notes,
            arguments.proposal_recall,
            **views(arguments),
        )
    except KeyboardInterrupt:
        print("Interrupted: nothing was measured.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _data(arguments):
    """Returns the data set to measure on; says which split it is, if that was open."""
    split, others, role = arguments.split, [], ""
    if split is None:
        split, others = split_to_measure(arguments.dataset)
        role = f"The split {split}, taken without --split: " if others else ""
    classes = selected_classes(arguments)
    dataset = read_dataset(
        arguments.dataset, arguments.images, split, role=role, class_names=classes
    )
    if others:
        print(
            f"Photos to measure on: {len(dataset)} ({dataset.name}), the split "
            f"{split}. For another: --split {' or '.join(others)}."
        )
    return dataset


def evaluate(
    model,
    dataset,
    output,
    model_name,
    notes=(),
    with_proposals=False,
    epochs=(),
    **views,
):
    """Evaluates with a progress bar, prints the numbers and writes the files.

    Args:
        model, dataset, model_name, notes, with_proposals, views: as for
            `keras_fpn.metrics.evaluate_photos`.
        output: Path, the folder of the files.
        epochs: as for `keras_fpn.report.write_evaluation`.

    Raises:
        CommandError: the model does not fit the data set, a photo cannot be read, or a
            file cannot be written.
    """
    from keras_fpn.metrics import PhotoError, evaluate_photos
    from keras_fpn.report import evaluation_text, write_evaluation
    from keras_fpn.report.extra import missing_packages

    with reported(ValueError), reported(PhotoError, code=1), photo_progress() as bar:
        evaluation = evaluate_photos(
            model,
            dataset,
            model_name,
            notes,
            with_proposals,
            progress=lambda photos: bar.track(photos, description="Detecting"),
            **views,
        )
    print(evaluation_text(evaluation))
    failed = "The evaluation could not be written: "
    with reported(OSError, code=1, prefix=failed), photo_progress():
        written = write_evaluation(evaluation, output, not missing_packages(), epochs)
    print(f"\nIn {output}: {', '.join(written)}")


def tell_if_without_page():
    """Prints what the page needs, if that is not installed."""
    from keras_fpn.report.extra import INSTALL, missing_packages

    missing = missing_packages()
    if missing:
        print(
            f"index.html will not be written: it needs {' and '.join(missing)}. To "
            f"install: {INSTALL}",
            file=sys.stderr,
        )


def _model_name(arguments):
    if arguments.weights in (None, PUBLISHED, RANDOM):
        return arguments.preset or DEFAULT_PRESET
    return Path(arguments.weights).name
