"""The option --proposals: boxes from a file, for a detector that takes them."""

from pathlib import Path

from keras_fpn.cli.errors import reported

# Proposals of a photo that are used: the number that Faster R-CNN's RPN makes.
TRAINED, TESTED = 2000, 1000


def add_proposals(parser, name="--proposals", photos="the photos"):
    """Adds the option to a parser.

    Args:
        parser: of argparse.
        name: of the option.
        photos: which photos the proposals are of, for the help.
    """
    parser.add_argument(
        name,
        metavar="FILE",
        type=Path,
        help=f"proposals of {photos}, for a detector that takes them (Fast R-CNN): "
        "COCO results as JSON, or detectron2's .pkl",
    )


def with_file(dataset, path, limit):
    """Returns a data set with the proposals in a file; None leaves it as it is.

    Raises:
        CommandError: the file cannot be read, or does not fit the data set.
    """
    if path is None:
        return dataset
    from keras_fpn.data import read_proposals, with_proposals

    with reported(ValueError):
        return with_proposals(dataset, read_proposals(path), limit)


def of_photos(model, photos, path):
    """Returns the proposals in a file for each photo, list of arrays; None for None.

    Args:
        model: detector, which must take proposals exactly if there is a file.
        photos: list of Path; they have the image ids of `keras-fpn detect --json`.
        path: Path or None.

    Raises:
        CommandError: the file cannot be read, a photo is not in it, or the detector
            does not take proposals, or needs some.
    """
    from keras_fpn.data import read_proposals
    from keras_fpn.data.image_files import image_ids
    from keras_fpn.models.given_proposals import check_given

    boxes = None
    with reported(ValueError):
        if path is not None:
            proposals = read_proposals(path)
            missing = [
                f"{photo} (image id {image_id})"
                for photo, image_id in zip(photos, image_ids(photos), strict=True)
                if image_id not in proposals
            ]
            if missing:
                raise ValueError(
                    f"Each photo must have proposals; received --proposals {path} "
                    f"without {len(missing)} of {len(photos)} photos, such as "
                    f"{missing[0]}. Write it by keras-fpn detect --json for the same "
                    "photos."
                )
            boxes = [_best(*proposals[image_id]) for image_id in image_ids(photos)]
        check_given(model, boxes, len(photos))
    return boxes


def _best(boxes, scores):
    return boxes[(-scores).argsort(kind="stable")[:TESTED]]
