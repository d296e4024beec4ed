"""Random numbers for the data: a function of what they are for, without any state.

The same seed, epoch and image give the same numbers in every loop, on every worker, in
any order of loading, and in a run that was interrupted and resumed.
"""

import hashlib

import numpy as np

_WORD = 0xFFFFFFFF


def random_generator(seed: int, epoch: int, image_id: int, purpose: str = "augment"):
    """Returns a new generator for one image in one epoch.

    NumPy promises the same numbers only for the same version of NumPy.

    Args:
        seed: int, random seed of the run.
        epoch: int, counted from the start of the training.
        image_id: int, of the data set; 0 for what concerns no single image.
        purpose: str, different for every use that must not repeat the numbers of
            another.

    Returns:
        numpy.random.Generator, equal for equal arguments and otherwise unrelated.

    Raises:
        ValueError: seed, epoch or image_id is not an integer, or purpose not a str.
    """
    words = []
    for name, number in (("seed", seed), ("epoch", epoch), ("image_id", image_id)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise ValueError(f"{name} must be an integer; received {name}={number!r}.")
        # Always two words each: joined without gaps, 1, 23 would equal 12, 3.
        words += [int(number) & _WORD, int(number) >> 32 & _WORD]
    if not isinstance(purpose, str):
        raise ValueError(f"purpose must be a str; received purpose={purpose!r}.")
    digest = hashlib.sha256(purpose.encode()).digest()
    words += [int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
