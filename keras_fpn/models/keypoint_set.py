"""Which keypoints objects have: their names, pairs, lines and spread."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from keras_fpn.config import Config

# The spread of keypoints other than COCO's, relative to the size of their object. It is
# between that of COCO's shoulders and hips.
SIGMA = 0.1


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class KeypointSet(Config):
    """The keypoints of a detector; they are saved with it.

    Attributes:
        names: J str.
        flip_pairs: pairs of ints, 0..J-1, of keypoints that a mirror exchanges, such as
            left and right eye.
        skeleton: pairs of ints, 0..J-1, of keypoints that pictures join by a line.
        sigmas: J floats above 0, the spread of each keypoint relative to the root of
            its object's area, by which object keypoint similarity measures errors;
            empty means `SIGMA` for each.

    Raises:
        ValueError: there is no name, a pair has an index out of range, or sigmas are
            not J numbers above 0.
    """

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] = ()

    def __post_init__(self):
        values = {
            "names": tuple(str(name) for name in self.names),
            "flip_pairs": _pairs(self.flip_pairs),
            "skeleton": _pairs(self.skeleton),
            "sigmas": tuple(float(sigma) for sigma in self.sigmas),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        count = len(self.names)
        if not count:
            raise ValueError("A set of keypoints must have names; received names=().")
        for name in ("flip_pairs", "skeleton"):
            indices = [index for pair in values[name] for index in pair]
            if indices and not 0 <= min(indices) <= max(indices) < count:
                raise ValueError(
                    f"Pairs of keypoints must be indices 0..{count - 1}; received "
                    f"{name}={values[name]}."
                )
        if not self.sigmas:
            object.__setattr__(self, "sigmas", (SIGMA,) * count)
        elif len(self.sigmas) != count or not all(0 < s for s in self.sigmas):
            raise ValueError(
                f"There must be one sigma above 0 for each of the {count} keypoints; "
                f"received sigmas={self.sigmas}."
            )

    def __len__(self):
        return len(self.names)


def _pairs(pairs):
    return tuple((int(first), int(second)) for first, second in pairs)


# The keypoints of a person in COCO 2017; names and skeleton as in its annotations, and
# sigmas as in pycocotools.
COCO_PERSON = KeypointSet(
    names=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    flip_pairs=tuple((left, left + 1) for left in range(1, 17, 2)),
    skeleton=(
        (15, 13),
        (13, 11),
        (16, 14),
        (14, 12),
        (11, 12),
        (5, 11),
        (6, 12),
        (5, 6),
        (5, 7),
        (6, 8),
        (7, 9),
        (8, 10),
        (1, 2),
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 4),
        (3, 5),
        (4, 6),
    ),
    sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
        *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
)


def keypoint_set(
    names: Sequence[str],
    flip_pairs: Sequence[tuple[int, int]] = (),
    skeleton: Sequence[tuple[int, int]] = (),
) -> KeypointSet:
    """Returns the `KeypointSet` of a data set.

    COCO's names have COCO's pairs, lines and sigmas; others have `SIGMA`.

    Args:
        names, flip_pairs, skeleton: as of `KeypointSet`.
    """
    if tuple(names) == COCO_PERSON.names:
        return COCO_PERSON
    return KeypointSet(tuple(names), tuple(flip_pairs), tuple(skeleton))
