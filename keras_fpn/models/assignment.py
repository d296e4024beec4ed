"""`Match` and `Sample` in one object, for code and files of older versions."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_fpn.config import Config
from keras_fpn.matcher import Match
from keras_fpn.sampler import Sample


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class Assignment(Config):
    """The arguments of a `Match` and of a `Sample`.

    New code should pass both separately: `roi_match` and `roi_sample` instead of
    `roi_assignment`, and `rpn_match` and `rpn_sample` instead of `rpn_assignment`.

    Attributes:
        lower, upper, allow_low_quality: as in `keras_fpn.models.Match`.
        count, positive_fraction: as in `keras_fpn.models.Sample`.
    """

    lower: float
    upper: float
    allow_low_quality: bool
    count: int
    positive_fraction: float

    @property
    def match(self):
        """The `Match` with these arguments."""
        return Match(self.lower, self.upper, self.allow_low_quality)

    @property
    def sample(self):
        """The `Sample` with these arguments."""
        return Sample(self.count, self.positive_fraction)


def without_assignments(parts: dict[str, Any]):
    """Returns parts with a match and a sample instead of each assignment.

    Args:
        parts: dict of name -> part; "rpn_assignment" and "roi_assignment" are replaced.
    """
    parts = dict(parts)
    for stage in ("rpn", "roi"):
        assignment = parts.pop(f"{stage}_assignment", None)
        if assignment is not None:
            parts[f"{stage}_match"] = assignment.match
            parts[f"{stage}_sample"] = assignment.sample
    return parts
