"""`keras-fpn data look`: photos of a data set as a detector sees them in training."""

import os
import sys
import warnings

from keras_fpn import data
from keras_fpn.cli.errors import CommandError, make_output, reported
from keras_fpn.cli.load_detector import DEFAULT_PRESET
from keras_fpn.cli.terminal import photo_progress
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.report import anchor_coverage, draw_training_photos, level_strides
from keras_fpn.report.anchor_coverage import REACHED
from keras_fpn.report.training_photos import CONTACT_SHEET

_FEW = 0.01  # of the objects: so few change no AP that can be measured


def look(dataset, arguments):
    """Draws photos and prints how well anchors reach objects; returns the exit code.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        arguments: the command line's, see `keras_fpn.cli.data`.

    Raises:
        CommandError: no such preset, options that do not fit the data set, or an
            output among its photos.
    """
    output = arguments.output
    _check_apart(output, dataset)
    make_output(output)
    with reported(ValueError):
        anchors, strides, preprocessing = _detector(arguments)
        loader = _loader(dataset, preprocessing, arguments)
    print(f"\n{_view(arguments, preprocessing)}")
    coverage = anchor_coverage(dataset, anchors, strides, preprocessing)
    print(f"\n{coverage.report()}")
    print(_verdict(coverage))
    with photo_progress(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skipped photos are listed below
        pictures = draw_training_photos(
            loader, output, arguments.count, arguments.epoch
        )
    for reason in loader.skipped.values():
        print(reason, file=sys.stderr)
    print(f"\n{len(pictures)} photos in {output}; together: {output / CONTACT_SHEET}")
    return 1 if loader.skipped else 0


def _check_apart(output, dataset):
    """Raises if the pictures would lie among the photos, which may be read as a set."""
    # Path.resolve would raise for a link that leads to itself.
    folders = {photo.path.parent for photo in dataset.photos}
    if os.path.realpath(output) in map(os.path.realpath, folders):
        raise CommandError(
            "--output must not be a folder of the photos, because its pictures would "
            f"lie among them; received --output {output}. Name another folder."
        )


def _view(arguments, preprocessing):
    """Returns a line: which detector sees the photos, and in which size."""
    shorter, longer = preprocessing.min_size, preprocessing.max_size
    return (
        f"As {_preset(arguments)} sees it: the shorter side {shorter} pixels, the "
        f"longer at most {longer}. For another detector: --preset NAME."
    )


def _verdict(coverage):
    """Returns a line: whether the anchors reach enough of the objects."""
    share = coverage.share_missed(REACHED)
    if share < _FEW:
        return (
            f"Out of reach, below {REACHED}: {share:.1%} of the objects, which is "
            f"fine. Those from {REACHED} to 0.7 are usual: they are matched with their "
            "best anchor."
        )
    return (
        f"Out of reach, below {REACHED}: {share:.1%} of the objects, which are hardly "
        "learned. Resize to more pixels with --min-size, or build the detector with "
        "other anchor sizes."
    )


def _preset(arguments):
    return arguments.preset or DEFAULT_PRESET


def _detector(arguments):
    """Returns the anchors, strides and Preprocessing that the command line asks for."""
    import keras_fpn

    model = keras_fpn.from_preset(_preset(arguments), load_weights=False)
    config = model.preprocessing.to_config()
    for side in ("min_size", "max_size"):
        if getattr(arguments, side) is not None:
            config[side] = getattr(arguments, side)
    config["max_size"] = max(config["min_size"], config["max_size"])
    return model.anchors, level_strides(model), Preprocessing.from_config(config)


def _loader(dataset, preprocessing, arguments):
    """Returns a Loader of the data set with the augmentations that are asked for."""
    low, high = preprocessing.min_size, preprocessing.max_size
    lengths = tuple(round(low * share) for share in (0.8, 0.85, 0.9, 0.95, 1))
    made = {
        "flip": data.RandomFlip(flip_pairs=dataset.flip_pairs),
        "crop": data.SafeCrop(),
        "color": data.Photometric(),
        "scale": data.MultiScale(lengths, high),
        "jitter": data.LargeScaleJitter(high),
        "paste": data.CopyPaste(),
    }
    objects = [photo.objects for photo in dataset.photos if len(photo.objects)]
    return data.Loader(
        dataset,
        preprocessing,
        batch_size=1,
        augment=[made[name] for name in arguments.augment],
        seed=arguments.seed,
        shuffle=True,
        masks=bool(objects) and all(each.segments is not None for each in objects),
        on_error="skip",
        semantic=dataset.has_semantic,
    )
