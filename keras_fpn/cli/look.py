"""`keras-fpn data look`: photos of a data set as a detector sees them in training."""

import sys
import warnings

from keras_fpn import data
from keras_fpn.cli.errors import make_output, reported
from keras_fpn.cli.load_detector import DEFAULT_PRESET
from keras_fpn.cli.terminal import photo_progress
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.report import anchor_coverage, draw_training_photos, level_strides
from keras_fpn.report.training_photos import CONTACT_SHEET


def look(dataset, arguments):
    """Draws photos and prints which objects no anchor reaches; returns the exit code.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        arguments: the command line's, see `keras_fpn.cli.data`.

    Raises:
        CommandError: no such preset, or options that do not fit the data set.
    """
    output = arguments.output
    make_output(output)
    with reported(ValueError):
        anchors, strides, preprocessing = _detector(arguments)
        loader = _loader(dataset, preprocessing, arguments)
    print(f"\n{_view(arguments, preprocessing)}")
    coverage = anchor_coverage(dataset, anchors, strides, preprocessing)
    print(f"\n{coverage.report()}")
    print(
        "An object that no anchor overlaps by an IoU of 0.7 is matched with the anchor "
        "that overlaps it most. If many objects have no anchor of IoU 0.5, resize to "
        "more pixels with --min-size, or build the detector with other anchor sizes."
    )
    with photo_progress(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skipped photos are listed below
        pictures = draw_training_photos(
            loader, output, arguments.count, arguments.epoch
        )
    for reason in loader.skipped.values():
        print(reason, file=sys.stderr)
    print(f"\n{len(pictures)} photos in {output}; together: {output / CONTACT_SHEET}")
    return 1 if loader.skipped else 0


def _view(arguments, preprocessing):
    """Returns a line: which detector sees the photos, and in which size."""
    shorter, longer = preprocessing.min_size, preprocessing.max_size
    return (
        f"As {_preset(arguments)} sees it: the shorter side {shorter} pixels, the "
        f"longer at most {longer}. For another detector: --preset NAME."
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
