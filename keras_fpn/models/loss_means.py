"""The metrics by which `fit` shows the losses of a detector."""

import collections
from collections.abc import Sequence

import keras


def loss_means(names: Sequence[str]):
    """Returns a `keras.metrics.Mean` for each loss, dict of name -> metric.

    Raises:
        ValueError: two losses have the same name.
    """
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"Each loss must have a different name; received {names}, {twice} twice."
        )
    return {name: keras.metrics.Mean(name=name) for name in names}
