"""The names and ids of a detector's classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_fpn.weights.coco_classes import COCO_CATEGORY_IDS, COCO_CLASS_NAMES


@dataclass(frozen=True)
class Classes:
    """Names and ids of classes, in the order of the labels.

    Attributes:
        names: list of str.
        ids: list of int, ids in the data set's files.
    """

    names: list[str]
    ids: list[int]


def resolved_classes(
    own: Classes | None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
):
    """Returns the `Classes` a user asks for, completed with those of the weights.

    Args:
        own: `Classes` of the weights; None means COCO's 90 columns.
        num_classes: int, K, or None.
        class_names: list of K str, or None.
        category_ids: list of K int, or None.

    Raises:
        ValueError: the numbers of classes in the three differ or are below 1.
    """
    own = own or Classes(list(COCO_CLASS_NAMES), list(COCO_CATEGORY_IDS))
    lengths = {
        "num_classes": num_classes,
        "class_names": None if class_names is None else len(class_names),
        "category_ids": None if category_ids is None else len(category_ids),
    }
    given = {name: length for name, length in lengths.items() if length is not None}
    if len(set(given.values())) > 1 or any(length < 1 for length in given.values()):
        raise ValueError(
            "num_classes, class_names and category_ids must agree on the number of "
            f"classes, which must be at least 1; received {given}."
        )
    count = next(iter(given.values()), len(own.names))
    if class_names is None and count == len(own.names):
        class_names = own.names
        category_ids = own.ids if category_ids is None else category_ids
    if class_names is None:
        class_names = [f"class {label}" for label in range(count)]
    if category_ids is None:
        category_ids = range(1, count + 1)
    return Classes(list(class_names), [int(number) for number in category_ids])
