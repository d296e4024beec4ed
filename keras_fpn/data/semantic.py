"""Whether the pixel labels of a data set are those of a detector."""

from keras_fpn.data.dataset import THINGS, Dataset

SEMANTIC = "semantic_map"  # the target of models that label pixels


def labels_pixels(model) -> bool:
    """Returns whether a model predicts semantic maps."""
    return SEMANTIC in getattr(model, "targets", ())


def semantic_names(model) -> tuple[str, ...]:
    """Returns the names of the values in a model's semantic maps, from 0.

    Args:
        model: one that predicts semantic maps: a panoptic one, which has `stuff_names`,
            or one whose `class_names` are those of its maps.
    """
    stuff = tuple(getattr(model, "stuff_names", ()))
    return (THINGS, *stuff) if stuff else tuple(model.class_names)


def classes_for(model, dataset: Dataset):
    """Returns the classes that a model of this kind learns from a data set.

    Those of objects, or those of pixels if it predicts nothing else.

    Args:
        model: `keras_fpn.models.Detector`.
        dataset: `keras_fpn.data.Dataset`.

    Returns:
        names, tuple of str; and ids in the data set's files, tuple of int.
    """
    if labels_pixels(model) and model.stuff_set is None:
        return dataset.semantic_names, dataset.semantic_ids
    return dataset.class_names, dataset.category_ids


def check_labeled(model, dataset: Dataset):
    """Raises an error if a model labels pixels and a photo has no pixel labels.

    Args:
        model: `keras_fpn.models.Detector`.
        dataset: `keras_fpn.data.Dataset`.
    """
    bare = dataset.photos_without_semantic
    if labels_pixels(model) and bare:
        raise ValueError(
            f"Photos must have pixel labels, because a {type(model).__name__} predicts "
            f"them; received the data set {dataset.name!r}, where {len(bare)} of "
            f"{len(dataset)} have none, such as {bare[0].path}. Read a COCO "
            "panoptic file or semantic label images."
        )


def check_semantic(model, dataset: Dataset):
    """Raises an error if a model labels pixels otherwise than a data set, or none does.

    Args:
        model: `keras_fpn.models.Detector`.
        dataset: `keras_fpn.data.Dataset`.

    Raises:
        ValueError: a photo has no pixel labels, or their classes are others, or in
            another order.
    """
    check_labeled(model, dataset)
    if not labels_pixels(model):
        return
    names, expected = semantic_names(model), dataset.semantic_names
    renamed = set(names) & set(expected) - {THINGS} and names != expected
    if len(names) != len(expected) or renamed:
        raise ValueError(
            "The model and the data set must have the same semantic classes in the "
            f"same order; received {list(names)} and {list(expected)}. Build the model "
            "with the names of the data set."
        )
