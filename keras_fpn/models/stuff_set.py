"""Which stuff a panoptic detector tells apart: what is no object, such as sky."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from keras_fpn.config import Config
from keras_fpn.weights.coco_stuff import COCO_STUFF_IDS, COCO_STUFF_NAMES


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class StuffSet(Config):
    """The stuff classes of a detector; they are saved with it.

    Attributes:
        names: S str.
        ids: S ints, ids in the data set's files; empty means 1..S.

    Raises:
        ValueError: a name or an id is there twice, or there are other numbers of names
            and ids.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...] = ()

    def __post_init__(self):
        names = tuple(str(name) for name in self.names)
        ids = tuple(int(number) for number in self.ids) or range(1, len(names) + 1)
        for name, values in (("names", names), ("ids", tuple(ids))):
            if len(set(values)) != len(names):
                raise ValueError(
                    "Stuff classes must have different names, and as many different "
                    f"ids; received {name}={values} of {len(names)} classes."
                )
            object.__setattr__(self, name, values)

    def __len__(self):
        return len(self.names)


COCO_STUFF = StuffSet(COCO_STUFF_NAMES, COCO_STUFF_IDS)


def semantic_names(stuff: StuffSet):
    """Returns the classes of a semantic map of things and stuff, list of str."""
    return ["things", *stuff.names]


def known_stuff(source: StuffSet, names: Sequence[str]):
    """Returns (place in names, place in the source) of each name in both, list."""
    return [
        (place, source.names.index(name))
        for place, name in enumerate(names)
        if name in source.names
    ]
