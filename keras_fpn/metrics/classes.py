"""Which of a data set's categories a model's labels stand for."""


def shared_categories(class_names, dataset):
    """Returns the data set's category id for each of a model's labels, by the names.

    A model and a data set may order their classes differently, and each may have some
    that the other lacks.

    Args:
        class_names: list of str, the model's, by label.
        dataset: `keras_fpn.data.Dataset`.

    Returns:
        list of int, or None for a class that the data set lacks.

    Raises:
        ValueError: they share no class, or a shared name stands twice in one of them.
    """
    names = list(dataset.class_names)
    shared = [name for name in class_names if name in names]
    if not shared:
        raise ValueError(
            "The model and the data set must share classes by name; received "
            f"class_names={_some(class_names)} and {_some(names)}. Set "
            "model.class_names to the data set's names."
        )
    twice = sorted(
        name for name in set(shared) if shared.count(name) > 1 or names.count(name) > 1
    )
    if twice:
        raise ValueError(
            "Each shared class must have one label in the model and in the data set; "
            f"received twice: {_some(twice)}. Rename one of the two."
        )
    numbers = dict(zip(names, dataset.category_ids, strict=True))
    return [numbers.get(name) for name in class_names]


def _some(names):
    names = list(names)
    return str(names) if len(names) <= 10 else f"{str(names[:10])[:-1]}, ...]"
