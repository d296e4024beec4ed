"""Random numbers as a pure function of seed, step and image, without any state.

The same (seed, step, image) gives the same numbers on every replica, on every backend
and in a run that was interrupted and resumed.
"""

from keras import ops

_CONSTANTS = (0x7FEB352D, 0x846CA68B)  # of a hash with low bias that C. Wellons found


def random_priorities(seed: int, step, image_ids, count, purpose: int):
    """Returns a uniform random number for each candidate of each image.

    Args:
        seed: int.
        step: int scalar tensor, the training step.
        image_ids: int (B,).
        count: int or scalar tensor, N, candidates per image.
        purpose: int, a different one for each use within a step.

    Returns:
        float32 (B, N), 0 <= x < 1, multiples of 2^-24, which float32 holds exactly.
    """
    state = _mix(_unsigned(seed + 0x9E3779B9 * (purpose + 1) & 0xFFFFFFFF))
    state = _mix(ops.bitwise_xor(state, ops.cast(step, "uint32")))
    state = _mix(ops.bitwise_xor(state, ops.cast(image_ids, "uint32")))  # (B,)
    indices = ops.cast(ops.arange(count), "uint32") * _unsigned(0x9E3779B1)
    numbers = _mix(ops.bitwise_xor(state[:, None], _mix(indices)[None]))
    return ops.cast(ops.right_shift(numbers, _unsigned(8)), "float32") * 2.0**-24


def _mix(x):
    """Returns a hash, uint32: each bit of the input changes about half of its bits."""
    x = ops.bitwise_xor(x, ops.right_shift(x, _unsigned(16)))
    x = x * _unsigned(_CONSTANTS[0])
    x = ops.bitwise_xor(x, ops.right_shift(x, _unsigned(15)))
    x = x * _unsigned(_CONSTANTS[1])
    return ops.bitwise_xor(x, ops.right_shift(x, _unsigned(16)))


def _unsigned(number):
    return ops.convert_to_tensor(number, "uint32")
