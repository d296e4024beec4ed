"""Checks the targets that `fit` is given, where that costs no time in a step."""

import numpy as np

from keras_fpn.models.ground_truth import TARGETS, check_forms

_FRACTIONS_END = 1.5  # boxes that all end here are fractions of an image, not pixels
# A target that only `keras_fpn.data.Loader` gives, whose boxes are checked when read.
_OF_LOADER = "photo_sizes"


def checked_data(x, y, num_classes: int | None):
    """Returns `x` for `fit`, with targets that are checked now or as they are read.

    Arrays are checked at once. Batches of a `tf.data.Dataset` are checked at its end,
    on the CPU, outside the compiled step. Other data are left to the user.

    Args:
        x, y: arguments of `fit`; `y` is None if `x` yields batches.
        num_classes: int, K; None if the detector takes objects of any class.

    Raises:
        ValueError: dtypes or shapes are wrong, see `check_forms`, or the values of
            arrays, see `check_targets`. A wrong batch of a data set raises
            `tf.errors.InvalidArgumentError` with the same message.
    """
    if isinstance(y, dict) and set(TARGETS) <= set(y):
        boxes, labels = (np.asarray(y[name]) for name in TARGETS)
        check_forms(boxes, labels)
        check_targets(boxes, labels, num_classes, _OF_LOADER not in y)
    elif hasattr(x, "element_spec") and hasattr(x, "map"):  # JAX may lack TensorFlow
        from keras_fpn.models.target_check_tensorflow import checked_dataset

        return checked_dataset(x, num_classes, _OF_LOADER)
    return x


def check_targets(boxes, labels, num_classes: int | None, pixels: bool = True):
    """Raises an error for labels and boxes that train wrongly without any other sign.

    Args:
        boxes: NumPy array (B, G, 4), xyxy, pixels.
        labels: NumPy array (B, G), integers, -1 for padding.
        num_classes: int, K; None for any number.
        pixels: bool, whether boxes may be in a wrong form or unit.

    Raises:
        ValueError: a label is K or more; with `pixels`, a box ends before it begins, or
            all boxes are fractions of the image.
    """
    valid = labels >= 0
    if num_classes is not None and (valid & (labels >= num_classes)).any():
        raise ValueError(
            f"Labels must be indices of class_names, 0..{num_classes - 1}, or -1 for "
            f"padding; received {labels.max()}. Turn category ids into indices."
        )
    if not pixels or not valid.any():
        return
    boxes = boxes[valid]
    turned = boxes[(boxes[:, 2:] < boxes[:, :2]).any(-1)]
    if len(turned):
        raise ValueError(
            "Boxes must be x1, y1, x2, y2 with x1 <= x2 and y1 <= y2; received "
            f"{turned[0].tolist()}. Add x and y to widths and heights."
        )
    if 0 < boxes.max() <= _FRACTIONS_END:
        raise ValueError(
            "Boxes must be in pixels of the images; received none that ends beyond "
            f"{boxes.max():.3f}. Multiply fractions by the image's width and height."
        )
