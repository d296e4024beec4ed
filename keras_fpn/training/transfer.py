"""Builds a detector for other classes from a trained one."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_fpn.models.checkpoints import as_new
from keras_fpn.preprocessing import Preprocessing

PREDICTOR = "box_predictor"


def kept_classes(source, class_names: Sequence[str]):
    """Returns those of the classes that a detector already knows, list of str.

    Args:
        source: detector.
        class_names: in any order.
    """
    return [name for name in class_names if name in source.class_names]


def with_classes(
    source,
    class_names: Sequence[str],
    category_ids: Sequence[int],
    preprocessing: Preprocessing | None = None,
):
    """Builds a detector of the same architecture for other classes.

    It has the weights of the source, except in the box predictor. There the classes
    that have the same name in both keep their weights, and so does the background; the
    others are random. If no class is known, the whole box predictor is random. The new
    detector has the current dtype policy of Keras, and all of it is trainable, however
    the source was trained.

    Args:
        source: `keras_fpn.models.FasterRCNN`, which is not changed.
        class_names: K names.
        category_ids: K identifiers in the data set's files.
        preprocessing: None, that of the source, which also replaces a mean and a
            deviation that are None.

    Returns:
        `keras_fpn.models.FasterRCNN`, not compiled; its training step is 0.

    Raises:
        ValueError: the source has no box predictor.
    """
    if PREDICTOR not in source.layer_parts():
        raise ValueError(
            f"A detector to fine-tune must have a {PREDICTOR}; received a "
            f"{type(source).__name__}."
        )
    config = as_new(source.get_config())
    own = source.preprocessing
    preprocessing = (preprocessing or own).completed(own.mean, own.std)
    predictor = config[PREDICTOR]
    sizes = {**predictor["config"], "num_classes": len(class_names)}
    config |= {
        PREDICTOR: {**predictor, "config": sizes},
        "class_names": list(class_names),
        "category_ids": [int(number) for number in category_ids],
        "preprocessing": preprocessing.to_config(),
    }
    # Keras stores the shapes of the source, which differ from the new predictor's.
    config[PREDICTOR].pop("build_config", None)
    model = type(source).from_config(config)
    parts = model.layer_parts()
    for name, part in source.layer_parts().items():
        if name != PREDICTOR:
            parts[name].set_weights(part.get_weights())
    if kept_classes(source, class_names):
        _copy_known(source, model)
    return model


def resized(
    preprocessing: Preprocessing,
    min_size: int | None = None,
    max_size: int | None = None,
):
    """Returns a `Preprocessing` that resizes to other sizes.

    Args:
        preprocessing: which is not changed.
        min_size: pixels of the shorter side; None, unchanged.
        max_size: pixels, the limit of the longer side; None, in proportion to min_size.
    """
    if min_size is None:
        min_size = preprocessing.min_size
    if max_size is None:
        ratio = min_size / preprocessing.min_size
        max_size = round(preprocessing.max_size * ratio)
    return dataclasses.replace(preprocessing, min_size=min_size, max_size=max_size)


def _copy_known(source, model):
    """Copies the columns of the box predictor for classes that both detectors have."""
    names, new_names = source.class_names, model.class_names
    new = [label for label, name in enumerate(new_names) if name in names]
    old = new
    if names != new_names:  # if not, a name may occur twice, such as COCO's "N/A"
        old = [names.index(new_names[label]) for label in new]
    theirs, own = source.box_predictor, model.box_predictor
    _copy_columns(theirs.box_deltas, own.box_deltas, old, new, 4)
    old, new = [*old, len(names)], [*new, len(new_names)]  # and the background
    _copy_columns(theirs.class_logits, own.class_logits, old, new, 1)


def _copy_columns(source, target, old, new, width):
    """Copies units of a dense layer, of which each label has `width` consecutive."""
    weights = []
    for received, own in zip(source.get_weights(), target.get_weights(), strict=True):
        columns = received.reshape(*received.shape[:-1], -1, width)
        changed = np.array(own).reshape(*own.shape[:-1], -1, width)
        changed[..., new, :] = columns[..., old, :]
        weights.append(changed.reshape(own.shape))
    target.set_weights(weights)
