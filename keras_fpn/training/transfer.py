"""A detector for other classes, with all that another one has learnt."""

import dataclasses

from keras_fpn.models.class_columns import copy_weights, renewed


def kept_classes(source, class_names):
    """Returns the classes that a detector knows already, list of str.

    Args:
        source: detector.
        class_names: list of str.
    """
    return [name for name in class_names if name in source.class_names]


def with_classes(source, class_names, category_ids, preprocessing=None):
    """Builds a detector of the same architecture for other classes.

    It has all weights of the other one except those of classes. These are copied for
    classes that have the same name in both, and for the background, and are random for
    the others. If there is no such class, all of them are random. The new detector
    computes by Keras's current dtype policy, and nothing of it is frozen, however the
    other was trained.

    Args:
        source: `keras_fpn.models.Detector`, which is not changed.
        class_names: list of str, K names.
        category_ids: list of K int.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`; None, the source's, as
            are its mean and deviation if they are None.

    Returns:
        detector of the same kind, not compiled; its training step is 0.
    """
    own = source.preprocessing
    preprocessing = (preprocessing or own).completed(own.mean, own.std)
    model = type(source)(
        parts=renewed(source.parts, len(class_names)),
        preprocessing=preprocessing,
        class_names=class_names,
        category_ids=[int(number) for number in category_ids],
        name=source.name,
    )
    model.seed = source.seed
    copy_weights(source.parts, model.parts, _known_labels(source, model))
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


def _known_labels(source, model):
    """Returns (label in the model, label in the source) of classes in both, list."""
    old_names, new_names = source.class_names, model.class_names
    if old_names == new_names:  # names may be there twice, such as COCO's "N/A"
        return [(label, label) for label in range(len(new_names))]
    return [
        (label, old_names.index(name))
        for label, name in enumerate(new_names)
        if name in old_names
    ]
