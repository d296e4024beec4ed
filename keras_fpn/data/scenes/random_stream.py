"""Random numbers that are equal on every machine and with every NumPy version."""

import numpy as np

_UNIT = 2.0**-53  # spacing of the numbers that `unit` returns
_EIGHTH_TURN = 0.41421356  # tangent of half of 45 degrees


class RandomStream:
    """A stream of random numbers that depends only on its key.

    NumPy guarantees the raw words of its bit generators, but not what its `Generator`
    computes from them; here every number comes from the words by exact arithmetic.

    Args:
        key: ints, 0 or more.
    """

    def __init__(self, *key):
        self._words = np.random.PCG64(np.random.SeedSequence(key))

    def unit(self):
        """Returns a float in 0..1, without 1."""
        return (self._words.random_raw() >> 11) * _UNIT

    def units(self, *shape):
        """Returns float32 of a shape, in 0..1 without 1."""
        words = self._words.random_raw(int(np.prod(shape)))
        return ((words >> np.uint64(40)) * 2.0**-24).astype(np.float32).reshape(shape)

    def between(self, low, high):
        """Returns a float in low..high."""
        return low + (high - low) * self.unit()

    def whole(self, low, high):
        """Returns an int in low..high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def happens(self, probability):
        """Returns True with a probability of 0..1."""
        return self.unit() < probability

    def pick(self, options):
        """Returns one of some options."""
        return options[self.whole(0, len(options) - 1)]

    def sign(self):
        """Returns -1 or 1."""
        return self.pick((-1, 1))

    def turn(self, most=None):
        """Returns cosine and sine of a random angle, by exact arithmetic.

        Args:
            most: float, tangent of half the largest angle to either side, at most
                that of 45 degrees; None for any angle.
        """
        t = self.between(-1, 1) * (_EIGHTH_TURN if most is None else most)
        cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        for _ in range(self.whole(0, 3) if most is None else 0):
            cosine, sine = -sine, cosine
        return cosine, sine

    def grain(self, height, width):
        """Returns float32 (height, width, 3) in -1..1, mostly near 0."""
        count = height * width * 3
        words = self._words.random_raw(-(-count // 4)).astype("<u8")
        pairs = words.view(np.uint8)[: 2 * count].astype(np.float32)
        noise = (pairs[:count] - pairs[count:]) / np.float32(255)
        return noise.reshape(height, width, 3)
