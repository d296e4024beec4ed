"""`keras-fpn detect`: finds objects in photos, draws them, writes COCO's results."""

import argparse
import dataclasses
import os
import time
from pathlib import Path

from keras_fpn.cli.errors import (
    INTERRUPTED,
    CommandError,
    make_output,
    one_line,
    reported,
)
from keras_fpn.cli.input_photos import check_named, input_photos, sample_photo
from keras_fpn.cli.load_detector import add_detector_options, load_detector
from keras_fpn.cli.options import (
    COUNT,
    FLAG,
    add_output,
    add_size_options,
    add_view_options,
    views,
)
from keras_fpn.cli.proposals import add_proposals, of_photos
from keras_fpn.cli.terminal import photo_progress

DEFAULT_THRESHOLD = 0.5  # a picture with all boxes above 0.05 shows little else


@dataclasses.dataclass
class _Outcome:
    """What became of the photos; `interrupted` is whether Ctrl-C stopped the work."""

    results: list[dict] = dataclasses.field(default_factory=list)
    pictures: list[Path] = dataclasses.field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0
    interrupted: bool = False


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "detect",
        help="find objects in photos",
        description="Finds objects in photos, draws them with their names and scores, "
        "and writes them as COCO results with --json. Of a detector that labels pixels "
        "its maps are drawn.",
    )
    add = parser.add_argument
    add(
        "photos",
        nargs="*",
        metavar="PHOTO",
        help="image file, folder of image files, or http(s) address of one",
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
    add_output(parser, "out", "the annotated pictures")
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
    parser.set_defaults(check=check)
    return parser


def check(arguments):
    """Checks photos and targets, without the library, and creates the output folder.

    Raises:
        CommandError: one of them is wrong.
    """
    if not arguments.photos and not arguments.sample:
        raise CommandError("Name at least one photo or folder, or give --sample.")
    check_named(arguments.photos)
    _check_targets(arguments)


def run(arguments):
    """Detects in the photos that the command line names; returns the exit code."""
    sample = [sample_photo(arguments.preset)] if arguments.sample else []
    named = [*arguments.photos, *sample]
    with input_photos(named, arguments.recursive, arguments.output) as photos:
        model, title = load_detector(arguments.preset, arguments.weights)
        proposals = of_photos(model, photos.paths, arguments.proposals)
        writer = _panoptic_writer(model, arguments.panoptic)
        outcome = _detect(model, title, photos, proposals, arguments, writer)
    failed = "The results could not be written: "
    if writer is not None:
        with reported(OSError, code=1, prefix=failed):
            writer.close()
    if arguments.json is not None:
        from keras_fpn.data import write_coco_results

        with reported(OSError, code=1, prefix=failed):
            write_coco_results(outcome.results, arguments.json)
    print(_summary(outcome, photos, arguments.json))
    if outcome.interrupted:
        return INTERRUPTED
    return 1 if outcome.failed else 0


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


def _detect(model, title, photos, proposals, arguments, writer):
    """Detects with a progress bar; a photo that fails gets a line on stderr."""
    from keras_fpn.data.image_files import image_ids
    from keras_fpn.metrics.pixels import finds_objects
    from keras_fpn.report import detect_photos

    failed = "The segments could not be written: "
    outcome, limits = _Outcome(), {}
    if finds_objects(model):  # another has no scores
        limits = {
            "score_threshold": arguments.threshold,
            "max_detections": arguments.max_detections,
        }
    detected = detect_photos(
        model,
        photos.paths,
        arguments.output,
        title,
        proposals,
        min_size=arguments.min_size,
        max_size=arguments.max_size,
        **limits,
        **views(arguments),
    )
    start = time.perf_counter()
    with photo_progress() as bar:
        ids = image_ids(photos.paths)
        shown = bar.track(detected, len(ids), description="Detecting")
        try:
            for one, image_id in zip(shown, ids, strict=True):
                name = photos.name_of(one.photo)
                if one.error is not None:
                    outcome.failed += 1
                    reason = photos.errors.get(one.photo) or one_line(one.error)
                    bar.console.out(f"{name}: {reason}", highlight=False)
                    continue
                outcome.pictures.append(one.picture)
                outcome.results += _results(one, image_id, model, name)
                if writer is not None:
                    with reported(OSError, code=1, prefix=failed):
                        maps = one.found["panoptic_map"], one.found["segments"]
                        writer.add(image_id, one.photo, *maps)
        except KeyboardInterrupt:
            outcome.interrupted = True
    outcome.seconds = time.perf_counter() - start
    return outcome


def _results(detected, image_id, model, name):
    """Returns COCO's results of one photo, with the names of the photo and classes."""
    from keras_fpn.metrics import detections_to_coco

    found = detected.found
    if "boxes" not in found:
        return []
    results = detections_to_coco(found, image_id, model.category_ids)
    return [
        {
            **result,
            "file_name": name,
            "category_name": model.class_names[label],
        }
        for result, label in zip(results, found["labels"], strict=True)
    ]


def _summary(outcome, photos, json_file):
    """Returns the command's last line."""
    pictures = outcome.pictures
    boxes = _counted(len(outcome.results), "box", "es")
    parts = [f"{_counted(len(pictures), 'photo')}, {boxes}, {outcome.seconds:.1f} s"]
    if outcome.failed:
        parts.append(f"{_counted(outcome.failed, 'photo')} failed")
    if outcome.interrupted:
        parts.append("interrupted")
    if photos.skipped:
        parts.append(photos.skipped_text())
    if len(pictures) == 1:
        parts.append(f"picture: {pictures[0]}")
    elif pictures:
        parts.append(f"pictures in {pictures[0].parent}")
    if json_file is not None:
        parts.append(f"results: {json_file}")
    return "; ".join(parts)


def _counted(number, noun, plural="s"):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{plural}"


def score(text: str):
    """Returns a score of 0..1 from the command line; argparse shows this name."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be 0 to 1; received {text}")
    return value
