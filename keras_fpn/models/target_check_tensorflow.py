"""Checks the targets of a `tf.data.Dataset` in its pipeline."""

import tensorflow as tf

from keras_fpn.models.ground_truth import TARGETS, check_forms
from keras_fpn.models.target_check import check_targets


def checked_dataset(dataset, num_classes: int | None, of_loader: str):
    """Returns a data set of the same batches, which raises an error for wrong targets.

    Args:
        dataset: `tf.data.Dataset` of (inputs, targets, ...). If the targets are no dict
            with boxes and labels, it is returned itself.
        num_classes: as of `check_targets`.
        of_loader: str, name of a target whose presence says that boxes are in pixels.

    Raises:
        ValueError: as `check_forms`.
    """
    spec = dataset.element_spec
    targets = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    if not isinstance(targets, dict) or not set(TARGETS) <= set(targets):
        return dataset
    check_forms(targets["boxes"], targets["labels"])
    pixels = of_loader not in targets

    def check(boxes, labels):
        check_targets(boxes, labels, num_classes, pixels)
        return labels

    def checked(inputs, targets, *weights):
        given = targets["labels"]
        labels = tf.numpy_function(check, [targets["boxes"], given], given.dtype)
        labels = tf.ensure_shape(labels, given.shape)
        return inputs, {**targets, "labels": labels}, *weights

    return dataset.map(checked)
