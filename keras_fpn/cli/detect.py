"""`keras-fpn detect`: finds and draws objects in photos and videos."""

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

from keras_fpn.cli.errors import (
    INTERRUPTED,
    CommandError,
    make_output,
    one_line,
    reported,
)
from keras_fpn.cli.input_photos import (
    check_named,
    input_photos,
    sample_photo,
    unsuited_sample,
)
from keras_fpn.cli.load_detector import add_detector_options, load_detector
from keras_fpn.cli.options import (
    COUNT,
    FLAG,
    add_output,
    add_size_options,
    add_view_options,
    views,
)
from keras_fpn.cli.outcome import Outcome, results_written, summary
from keras_fpn.cli.proposals import add_proposals, of_photos
from keras_fpn.cli.terminal import ended_by_sigterm, photo_progress
from keras_fpn.cli.video import add_video_options, check_videos, detect_videos

DEFAULT_THRESHOLD = 0.5  # a picture with all boxes above 0.05 shows little else


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "detect",
        help="find objects in photos and videos",
        description="Finds objects in photos and videos, draws them with their names "
        "and scores, and writes them as COCO results with --json. Of a detector that "
        "labels pixels its maps are drawn.",
    )
    add = parser.add_argument
    add(
        "photos",
        nargs="*",
        metavar="PHOTO",
        help="image file, folder of image files, video, or http(s) address of one",
    )
    add(
        "--recursive",
        **FLAG,
        help="also take the folders in a folder, at every depth",
    )
    add(
        "--sample",
        action="store_true",
        help="use the photo that comes with keras_fpn, or with the preset",
    )
    add_detector_options(parser)
    add_output(parser, "out", "the annotated pictures and videos")
    add("--json", metavar="FILE", type=Path, help="write the boxes as COCO results")
    add(
        "--panoptic",
        metavar="FILE",
        type=Path,
        help="write the segments of a panoptic detector as a COCO panoptic json, and "
        "beside it a folder of PNGs with its name",
    )
    add(
        "--threshold",
        metavar="SCORE",
        type=score,
        default=DEFAULT_THRESHOLD,
        help="keep boxes with a higher score, 0 to 1 (default %(default)s)",
    )
    add(
        "--max-detections",
        **COUNT,
        help="keep at most N boxes per photo, those with the highest scores (default: "
        "as the model was trained)",
    )
    add_size_options(parser, "the model")
    add_proposals(parser)
    add_view_options(parser)
    add_video_options(parser)
    parser.set_defaults(check=check)
    return parser


def check(arguments):
    """Checks photos and targets, without the library, and creates the output folder.

    Raises:
        CommandError: one of them is wrong.
    """
    if not arguments.photos and not arguments.sample and arguments.webcam is None:
        raise CommandError(
            "Name at least one photo, folder or video, or give --sample or --webcam."
        )
    check_named(arguments.photos)
    check_videos(arguments)
    _check_targets(arguments)


def run(arguments):
    """Detects in what the command line names; returns the exit code."""
    sample = [sample_photo(arguments.preset)] if arguments.sample else []
    named = [*arguments.photos, *sample]
    with (
        ended_by_sigterm(),
        input_photos(named, arguments.recursive, arguments.output) as photos,
    ):
        model, title = load_detector(arguments.preset, arguments.weights)
        for remark in filter(None, (unsuited_sample(one, model) for one in sample)):
            print(remark, file=sys.stderr)
        options = _options(model, photos, arguments)
        segments = _panoptic_writer(model, arguments.panoptic)
        with results_written(), _results_file(arguments.json) as write:
            outcome = Outcome(write)
            if photos.paths:
                folder = arguments.output
                _detect(model, title, photos, folder, options, segments, outcome)
            if segments is not None:
                segments.close()
            if not outcome.interrupted:
                detect_videos(model, title, photos, arguments, options, outcome)
    print(summary(outcome, photos, arguments.json))
    if outcome.interrupted:
        return INTERRUPTED
    return 0 if outcome.complete else 1


def _options(model, photos, arguments):
    """Returns the arguments of `model.detect` that the options ask for, a dict."""
    from keras_fpn.metrics.pixels import finds_objects

    options = {"min_size": arguments.min_size, "max_size": arguments.max_size}
    if finds_objects(model):  # another has no scores
        options["score_threshold"] = arguments.threshold
        options["max_detections"] = arguments.max_detections
    if photos.paths:
        options["proposals"] = of_photos(model, photos.paths, arguments.proposals)
    return options | views(arguments)


def _results_file(path):
    """Yields a function that appends results to the file of --json, if there is one."""
    from keras_fpn.data import coco_results_file

    if path is None:
        return contextlib.nullcontext(lambda results: None)
    return coco_results_file(path)


def _check_targets(arguments):
    output = arguments.output
    # Path.resolve would raise for a link that leads to itself.
    named = filter(os.path.isdir, arguments.photos)
    if os.path.realpath(output) in map(os.path.realpath, named):
        raise CommandError(
            "--output must not be a folder of the photos, because the next run would "
            f"read its pictures as photos; received --output {output}. Name another "
            "folder."
        )
    files = {"--json": arguments.json, "--panoptic": arguments.panoptic}
    for option, file in files.items():
        if file is not None and file.is_dir():
            raise CommandError(f"{option} must be a file; received the folder {file}.")
    make_output(output)


def _panoptic_writer(model, path):
    """Returns the `PanopticWriter` of --panoptic, or None."""
    from keras_fpn.data import PanopticWriter

    if path is None:
        return None
    if model.stuff_set is None:
        raise CommandError(
            "--panoptic must be given for a panoptic detector; received a "
            f"{type(model).__name__}. Leave it out."
        )
    with reported(ValueError, prefix="--panoptic: "):
        return PanopticWriter(path, model)


def _detect(model, title, photos, folder, options, segments, outcome):
    """Detects with a progress bar; a photo that fails gets a line on stderr."""
    from keras_fpn.data.image_files import image_ids
    from keras_fpn.report import detect_photos

    failed = "The segments could not be written: "
    detected = detect_photos(model, photos.paths, folder, title, **options)
    start = time.perf_counter()
    with photo_progress() as bar:
        ids = image_ids(photos.paths)
        shown = bar.track(detected, len(ids), description="Detecting")
        try:
            for one, image_id in zip(shown, ids, strict=True):
                name = photos.name_of(one.photo)
                if one.error is not None:
                    outcome.failed_photos += 1
                    reason = photos.errors.get(one.photo) or one_line(one.error)
                    bar.console.out(one_line(f"{name}: {reason}"), highlight=False)
                    continue
                outcome.pictures.append(one.picture)
                outcome.add(one.found, image_id, model, file_name=name)
                if segments is not None:
                    with reported(OSError, code=1, prefix=failed):
                        maps = one.found["panoptic_map"], one.found["segments"]
                        segments.add(image_id, one.photo, *maps)
        except KeyboardInterrupt:
            outcome.interrupted = True
    outcome.seconds += time.perf_counter() - start


def score(text: str):
    """Returns a score of 0..1 from the command line; argparse shows this name."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be 0 to 1; received {text}")
    return value
