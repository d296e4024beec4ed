"""The classes of a data set that has been read: others, in another order."""

import dataclasses

import numpy as np

from keras_fpn.data.dataset import Dataset


def with_classes(dataset: Dataset, class_names) -> Dataset:
    """Returns a Dataset with these classes, in this order; objects of others go.

    Args:
        dataset: Dataset.
        class_names: list of str, different names; those that the data set lacks get no
            objects and unused category ids.

    Raises:
        ValueError: the classes differ from those of the data set, whose photos have
            pixel labels: these are selected when they are read.
    """
    names = tuple(class_names)
    if names == dataset.class_names:
        return dataset
    if any(photo.pixel_labels is not None for photo in dataset.photos):
        raise ValueError(
            "Classes of photos with pixel labels must be selected when they are read; "
            f"received {names} and a data set of {dataset.class_names}. "
            "Pass `class_names` to its reader."
        )
    ids = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    last = max((*dataset.category_ids, 0))
    for name in names:
        if name not in ids:
            ids[name] = last = last + 1
    labels = {name: label for label, name in enumerate(names)}
    table = np.array([labels.get(name, -1) for name in dataset.class_names], np.int32)
    return dataclasses.replace(
        dataset,
        photos=tuple(_relabeled(photo, table) for photo in dataset.photos),
        class_names=names,
        category_ids=tuple(ids[name] for name in names),
    )


def union_of_classes(*datasets: Dataset) -> list[str]:
    """Returns the names of the classes of data sets, list, in order of appearance."""
    return list(dict.fromkeys(name for one in datasets for name in one.class_names))


def _relabeled(photo, table):
    """Returns a Photo with the labels that a table, int (K,), has for its own."""
    labels = table[photo.objects.labels]
    objects = photo.objects[labels >= 0]
    objects = dataclasses.replace(objects, labels=labels[labels >= 0])
    return dataclasses.replace(photo, objects=objects)
