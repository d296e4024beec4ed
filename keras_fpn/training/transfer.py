"""A detector for other classes, with all that another one has learnt."""

import dataclasses

import numpy as np

from keras_fpn.models.checkpoints import as_new

PREDICTOR = "box_predictor"


def kept_classes(source, class_names):
    """Returns the classes that a detector knows already, list of str.

    Args:
        source: detector.
        class_names: list of str.
    """
    return [name for name in class_names if name in source.class_names]


def with_classes(source, class_names, category_ids, preprocessing=None):
    """Builds a detector of the same architecture for other classes.

    It has the weights of the other one, but for the box predictor: this keeps what it
    knows of the classes that have the same name in both, and of the background, and is
    random for the others. If it knows none of them all of it is random. It computes by
    Keras's dtype policy of now, and nothing of it is frozen, however the other was
    trained.

    Args:
        source: `keras_fpn.models.FasterRCNN`, which stays as it is.
        class_names: list of str, K names.
        category_ids: list of K int.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`; None, the source's, and
            so are its mean and deviation where they are None.

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
    # Keras notes the shapes of the source, which are not those of the new predictor.
    config[PREDICTOR].pop("build_config", None)
    model = type(source).from_config(config)
    parts = model.layer_parts()
    for name, part in source.layer_parts().items():
        if name != PREDICTOR:
            parts[name].set_weights(part.get_weights())
    if kept_classes(source, class_names):
        _copy_known(source, model)
    return model


def resized(preprocessing, min_size=None, max_size=None):
    """Returns a `Preprocessing` to other sizes.

    Args:
        preprocessing: `keras_fpn.preprocessing.Preprocessing`.
        min_size: int, pixels; None, unchanged.
        max_size: int, pixels; None, changed as min_size is.
    """
    if min_size is None:
        min_size = preprocessing.min_size
    if max_size is None:
        ratio = min_size / preprocessing.min_size
        max_size = round(preprocessing.max_size * ratio)
    return dataclasses.replace(preprocessing, min_size=min_size, max_size=max_size)


def _copy_known(source, model):
    """Copies the box predictor's columns of the classes that both detectors have."""
    old_names, new_names = source.class_names, model.class_names
    if old_names == new_names:  # names may be there twice, such as COCO's "N/A"
        known = [(label, label) for label in range(len(new_names))]
    else:
        known = [
            (label, old_names.index(name))
            for label, name in enumerate(new_names)
            if name in old_names
        ]
    new, old = (list(labels) for labels in zip(*known, strict=True))
    background = (len(new_names), len(old_names))
    theirs, own = source.box_predictor, model.box_predictor
    _copy_columns(
        theirs.class_logits,
        own.class_logits,
        [*old, background[1]],
        [*new, background[0]],
        1,
    )
    _copy_columns(theirs.box_deltas, own.box_deltas, old, new, 4)


def _copy_columns(source, target, old, new, width):
    """Copies units of a dense layer: those of each label are `width` side by side."""
    weights = []
    for received, own in zip(source.get_weights(), target.get_weights(), strict=True):
        columns = received.reshape(*received.shape[:-1], -1, width)
        changed = np.array(own).reshape(*own.shape[:-1], -1, width)
        changed[..., new, :] = columns[..., old, :]
        weights.append(changed.reshape(own.shape))
    target.set_weights(weights)
