"""Match and sample in one value, as older code and its saved files have them."""

from dataclasses import dataclass

import keras

from keras_fpn.config import Config
from keras_fpn.matcher import Match
from keras_fpn.sampler import Sample


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class Assignment(Config):
    """The numbers of a `Match` and of a `Sample`.

    `faster_rcnn_fpn(roi_assignment=Assignment(...))` means `roi_match` and
    `roi_sample`, which say it apart.

    Attributes:
        lower, upper, allow_low_quality: as of `keras_fpn.models.Match`.
        count, positive_fraction: as of `keras_fpn.models.Sample`.
    """

    lower: float
    upper: float
    allow_low_quality: bool
    count: int
    positive_fraction: float

    @property
    def match(self):
        """The `Match` of these numbers."""
        return Match(self.lower, self.upper, self.allow_low_quality)

    @property
    def sample(self):
        """The `Sample` of these numbers."""
        return Sample(self.count, self.positive_fraction)


def without_assignments(parts):
    """Returns parts with a match and a sample instead of each assignment.

    Args:
        parts: dict, name -> part; "rpn_assignment" and "roi_assignment" are replaced.
    """
    parts = dict(parts)
    for stage in ("rpn", "roi"):
        assignment = parts.pop(f"{stage}_assignment", None)
        if assignment is not None:
            parts[f"{stage}_match"] = assignment.match
            parts[f"{stage}_sample"] = assignment.sample
    return parts
