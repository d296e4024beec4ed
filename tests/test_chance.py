import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_array_equal
from on_backend import graph_of_all_sizes, outputs_of

from keras_fpn.chance import random_priorities

MASK = 0xFFFFFFFF


def drawn(seed=0, step=0, image_ids=(0,), count=1000, purpose=0):
    numbers = outputs_of(
        lambda step, ids: random_priorities(seed, step, ids, count, purpose),
        np.array(step, "int32"),
        np.array(image_ids, "int32"),
    )
    assert numbers.dtype == np.float32
    assert numbers.shape == (len(image_ids), count)
    return numbers


def mixed(x):
    """C. Wellons' "lowbias32", in whole numbers of any size."""
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    return x ^ x >> 16


def priority_by_loop(seed, step, image_id, place, purpose):
    # 0x9E3779B9 is 2^32 by the golden ratio; 0x9E3779B1 the prime next to it.
    state = mixed((seed + 0x9E3779B9 * (purpose + 1)) & MASK)
    state = mixed(state ^ step & MASK)
    state = mixed(state ^ image_id & MASK)
    number = mixed(state ^ mixed(place * 0x9E3779B1 & MASK))
    return (number >> 8) / 2**24


@pytest.mark.parametrize(
    ("seed", "step", "image_id", "purpose"),
    [
        (0, 0, 0, 0),
        (1, 2, 3, 1),
        (2**31 + 5, 90_000, 581_929, 0),
        (-1, 7, -1, 1),  # what is below zero counts from 2^32 down
    ],
)
def test_numbers_are_those_of_whole_number_arithmetic(seed, step, image_id, purpose):
    # A run that goes on elsewhere, or on the other backend, must draw the same.
    got = drawn(seed, step, [image_id, 42], 20, purpose)
    expected = [
        [priority_by_loop(seed, step, one, place, purpose) for place in range(20)]
        for one in (image_id, 42)
    ]
    assert_array_equal(got, np.array(expected, "float32"))


def groups_of_draws():
    """(name, 20,000 numbers), each along one thing that numbers are drawn for."""
    yield "places", drawn(count=20_000)
    yield "images", drawn(image_ids=range(2000), count=10)
    yield "steps", np.stack([drawn(step=step, count=1000) for step in range(20)])
    yield "seeds", np.stack([drawn(seed=seed, count=1000) for seed in range(20)])


def test_numbers_are_uniform_along_places_images_steps_and_seeds():
    for name, numbers in groups_of_draws():
        assert 0 <= numbers.min() < 1e-3, name
        assert 0.999 < numbers.max() < 1, name
        counts = np.histogram(numbers, 20, (0, 1))[0]
        expected = numbers.size / 20
        # Chi-square of 19 degrees of freedom exceeds 43.8 once in a thousand draws.
        assert np.sum((counts - expected) ** 2) / expected < 43.8, name
        halves = numbers * 2**24 % 2  # the last of 24 bits is set every other time
        assert abs(halves.mean() - 0.5) < 4 * 0.5 / np.sqrt(numbers.size), name


def test_every_candidate_of_an_image_is_as_likely_to_be_the_best():
    # 10 candidates in 2000 images: 200 times each, deviation sqrt(2000 * 0.09) = 13.4.
    best = drawn(image_ids=range(2000), count=10).argmax(axis=1)
    assert np.abs(np.bincount(best, minlength=10) - 200).max() < 4 * 13.4


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"step": 1}, {"image_ids": [1]}, {"purpose": 1}]
)
def test_another_seed_step_image_or_purpose_draws_other_numbers(other):
    one, two = drawn()[0], drawn(**other)[0]
    assert np.mean(one == two) < 0.01
    # Independent numbers: the correlation's deviation is 1 / sqrt(1000) = 0.03.
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 * 0.0317


def test_seed_and_purpose_do_not_stand_for_each_other():
    # Not: a run of the next seed draws for RoIs what this one draws for anchors.
    assert np.mean(drawn(seed=1, purpose=0) == drawn(seed=0, purpose=1)) < 0.01
    assert np.mean(drawn(seed=1, step=0) == drawn(seed=0, step=1)) < 0.01
    assert np.mean(drawn(step=1) == drawn(image_ids=[1])) < 0.01


def test_images_of_a_batch_do_not_matter_to_each_other():
    # So replicas draw for their share what one would draw for the whole.
    together = drawn(image_ids=[7, 3, 7, 9])
    assert_array_equal(together[0], together[2])
    assert_array_equal(drawn(image_ids=[3, 9]), together[[1, 3]])


def test_more_candidates_leave_the_first_ones_alone():
    assert_array_equal(drawn(count=50), drawn(count=100)[:, :50])


def test_one_graph_serves_all_steps_images_and_counts():
    run = graph_of_all_sizes(
        lambda step, ids, candidates: random_priorities(
            5, ops.cast(step, "int32"), ids, ops.shape(candidates)[0], 1
        ),
        [(), (None,), (None,)],
    )
    for step, ids, count in ((3, [1, 2], 30), (4, [9], 7)):
        got = run(np.float32(step), np.float32(ids), np.zeros(count, "float32"))
        assert_array_equal(got, drawn(5, step, ids, count, 1))
