"""Hostile inputs: changed structures by hypothesis, and files with changed bytes."""

import copy
import json

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

PER_SEED = 25  # structures that hypothesis draws of one seed


def deep(depth=200):
    nested = []
    for _ in range(depth):
        nested = [nested]
    return nested


# What stands in a file where something else belongs.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([2**31, 2**32, 2**53, 2**63, -(2**63), 10**19, 10**25, 10**400]),
    st.floats(),
    st.sampled_from([1e308, -1e308, 1e12, 1e-320, 0.5, 65536.0]),
    st.text(max_size=5),
    st.sampled_from(["0", "1", "7" * 5000, "a" * 300, "../a.jpg", "a\0", "\ud800"]),
    st.lists(st.integers(-1, 9), max_size=8),
    st.lists(st.floats(0, 99), min_size=6, max_size=8),
    st.sampled_from([{}, {"a": 1}, [[]], [None], ["1", "2", "3", "4"]]),
    st.builds(deep),
)


@st.composite
def changed(draw, structure):
    """A structure of JSON with 1 to 3 nodes replaced, removed, doubled or added."""
    structure = copy.deepcopy(structure)
    for _ in range(draw(st.integers(1, 3))):
        place = structure
        for _ in range(draw(st.integers(0, 6))):
            inner = [one for one in _values(place) if isinstance(one, dict | list)]
            inner = [one for one in inner if one]
            if not inner:
                break
            place = draw(st.sampled_from(inner))
        _change(draw, place)
    return structure


def _values(place):
    return list(place.values()) if isinstance(place, dict) else place


def _change(draw, place):
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    key = draw(st.sampled_from(keys)) if keys else None
    kind = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
    if key is None:
        return
    if kind == "replace":
        place[key] = copy.deepcopy(draw(VALUES))
    elif kind == "remove":
        del place[key]
    elif isinstance(place, list):
        place.append(copy.deepcopy(place[key]))


def structures(structure, number):
    """Returns `PER_SEED` changed structures, the same for the same number."""
    found = []

    @seed(number)
    @settings(
        max_examples=PER_SEED,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(changed(structure))
    def collect(one):
        found.append(one)

    collect()
    return found


def as_json(structure):
    """Returns the bytes of a structure, also of integers of any length."""
    return json.dumps(structure).encode("utf-8", errors="surrogatepass")


def damaged(content, generator):
    """Returns bytes with a few changed, cut, repeated, or of another place.

    Args:
        content: bytes.
        generator: `np.random.Generator`.
    """
    content = bytearray(content)
    for _ in range(generator.integers(1, 4)):
        start = int(generator.integers(len(content) + 1))
        length = int(generator.choice([1, 2, 4, 8, 64]))
        kind = generator.integers(8)
        if kind < 3:
            size = len(content[start : start + length])
            content[start : start + length] = generator.bytes(size)
        elif kind == 3:
            size = len(content[start : start + length])
            content[start : start + length] = bytes([generator.choice([0, 255])]) * size
        elif kind == 4:
            content[start:start] = content[start : start + length] * 3
        elif kind == 5:
            del content[start : start + length]
        elif kind == 6:
            other = int(generator.integers(len(content) + 1))
            content[start : start + length] = content[other : other + length]
        elif generator.random() < 0.2:
            del content[start:]
    return bytes(content)


def generator_of(seed_number, index):
    return np.random.default_rng([seed_number, index])
