"""What a training step asks of anchors and of RoIs: numbers of match and sample."""

from dataclasses import asdict, dataclass

import keras

from keras_fpn.chance import random_priorities
from keras_fpn.matcher import IGNORED, match
from keras_fpn.sampler import sample


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class Assignment:
    """How boxes are matched with the ground truth, and how many take part in the loss.

    Attributes:
        lower, upper: float, 0..1, IoU below which a box is negative, from which it is
            positive.
        allow_low_quality: bool, whether a ground truth's best boxes are positive
            in any case.
        count: int, boxes per image in the loss at the most.
        positive_fraction: float, 0..1, share of positives among them at the most.
    """

    lower: float
    upper: float
    allow_low_quality: bool
    count: int
    positive_fraction: float

    def get_config(self):
        """Returns a dict of the attributes."""
        return asdict(self)

    @classmethod
    def from_config(cls, config):
        """Returns the assignment that `get_config` described."""
        return cls(**config)

    def __call__(self, boxes, truth, chance, usable=None):
        """Matches and samples.

        Args:
            boxes: float32 (B, N, 4), xyxy, pixels.
            truth: `GroundTruth`.
            chance: tuple (seed, step, purpose), see `random_priorities`.
            usable: bool (B, N), False for boxes that are padding; or None.

        Returns:
            places: int32 (B, S), 0..N-1, the sampled boxes.
            labels: int32 (B, S), POSITIVE, NEGATIVE or IGNORED.
            matches: int32 (B, S), 0..G-1, the ground truth of each.
        """
        labels, matches = match(
            boxes,
            truth.boxes,
            truth.valid,
            truth.is_crowd,
            (self.lower, self.upper),
            self.allow_low_quality,
        )
        if usable is not None:
            labels = keras.ops.where(usable, labels, IGNORED)
        seed, step, purpose = chance
        count = keras.ops.shape(boxes)[1]
        priorities = random_priorities(seed, step, truth.image_ids, count, purpose)
        places, labels = sample(labels, priorities, self.count, self.positive_fraction)
        return places, labels, keras.ops.take_along_axis(matches, places, axis=1)


# Ren et al. 2015 (arXiv:1506.01497), Sec. 3.1.2 and 3.1.3.
RPN_ASSIGNMENT = Assignment(0.3, 0.7, True, 256, 0.5)

# Lin et al. 2017 (arXiv:1612.03144), Sec. 5.2; Girshick 2015, Sec. 2.3, for the share.
ROI_ASSIGNMENT = Assignment(0.5, 0.5, False, 512, 0.25)
