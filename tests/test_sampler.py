import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_array_equal
from on_backend import graph_of_all_sizes, outputs_of

from keras_fpn.matcher import IGNORED, NEGATIVE, POSITIVE
from keras_fpn.sampler import FullSample, Sample, sample

P, N, I = POSITIVE, NEGATIVE, IGNORED  # noqa: E741


def sampled(labels, priorities, count, fraction):
    """Places and labels of one image."""
    places, found = outputs_of(
        lambda labels, priorities: sample(labels, priorities, count, fraction),
        np.array([labels], "int32"),
        np.array([priorities], "float32"),
    )
    assert places.dtype == found.dtype == np.int32
    return places[0].tolist(), found[0].tolist()


def sample_by_loop(labels, priorities, count, fraction):
    """The places of the positives, and of the negatives, that a step looks at."""

    def best(label, limit):
        places = [place for place in range(len(labels)) if labels[place] == label]
        return sorted(places, key=lambda place: -priorities[place])[:limit]

    positives = best(POSITIVE, int(count * fraction))
    return positives, best(NEGATIVE, count - len(positives))


def test_positives_come_first_and_the_highest_priorities_are_picked():
    labels = [N, P, P, I, N, P, N]
    priorities = [0.1, 0.2, 0.9, 1.0, 0.8, 0.5, 0.3]
    # Half of 4 are positive: 0.9 and 0.5; of the negatives, 0.8 and 0.3.
    assert sampled(labels, priorities, 4, 0.5) == ([2, 5, 4, 6], [P, P, N, N])


def test_negatives_take_the_places_of_missing_positives():
    places, labels = sampled([N, P, N, N, N], [0.1, 0.2, 0.3, 0.4, 0.5], 4, 0.5)
    assert (places, labels) == ([1, 4, 3, 2], [P, N, N, N])
    places, labels = sampled([N] * 5, [0.1, 0.2, 0.3, 0.4, 0.5], 4, 0.5)
    assert (places, labels) == ([4, 3, 2, 1], [N] * 4)


def test_positives_do_not_take_the_places_of_missing_negatives():
    # 2 of 4 may be positive, one negative is there: one slot is left over.
    _, labels = sampled([P, P, P, P, N], [0.1] * 5, 4, 0.5)
    assert labels == [P, P, N, I]
    _, labels = sampled([P] * 5, [0.1] * 5, 4, 0.5)
    assert labels == [P, P, I, I]


@pytest.mark.parametrize(
    ("count", "fraction", "positives"),
    [
        (4, 0.25, 1),
        (6, 0.25, 1),  # 1.5, rounded down
        (7, 0.5, 3),  # 3.5
        (4, 1.0, 4),
        (4, 0.0, 0),
        (3, 0.25, 0),  # 0.75
    ],
)
def test_the_share_of_positives_is_rounded_down(count, fraction, positives):
    _, labels = sampled([P, N] * 8, [0.5] * 16, count, fraction)
    assert labels == [P] * positives + [N] * (count - positives)


def test_ignored_boxes_are_never_picked():
    _, labels = sampled([I, I, I], [0.9, 0.8, 0.7], 3, 0.5)
    assert labels == [I] * 3


def test_a_priority_of_zero_is_a_candidate_too():
    # `random_priorities` gives zero once in 2^24 draws.
    _, labels = sampled([P, N, I], [0.0, 0.0, 0.0], 3, 0.5)
    assert labels == [P, N, I]


def test_fewer_boxes_than_slots():
    # As many slots as there are boxes of the kinds taken together.
    places, labels = sampled([N, P, N], [0.1, 0.2, 0.3], 8, 0.5)
    assert labels == [P, N, N, I, I, I]
    assert places[:3] == [1, 2, 0]
    assert set(places) <= {0, 1, 2}


def scene(seed, images, boxes):
    generator = np.random.default_rng(seed)
    labels = generator.choice([P, N, I], (images, boxes), p=[0.2, 0.6, 0.2])
    order = [generator.permutation(boxes) for _ in range(images)]
    labels[0], labels[-1, : boxes // 2] = N, I
    return labels.astype("float32"), np.stack(order).astype("float32") / boxes


@pytest.mark.parametrize(("count", "fraction"), [(8, 0.5), (12, 0.25), (30, 0.9)])
def test_batches_of_all_sizes_equal_a_loop(count, fraction):
    run = graph_of_all_sizes(
        lambda labels, priorities: sample(
            ops.cast(labels, "int32"), priorities, count, fraction
        ),
        [(None, None), (None, None)],
    )
    for images, boxes in ((4, 40), (1, 23), (2, 5)):
        labels, priorities = scene(boxes, images, boxes)
        got_places, got_labels = run(labels, priorities)
        for image in range(images):
            positives, negatives = sample_by_loop(
                labels[image], priorities[image], count, fraction
            )
            places, found = got_places[image], got_labels[image]
            assert places[found == P].tolist() == positives
            assert places[found == N].tolist() == negatives
            picked = len(positives) + len(negatives)
            assert (found[picked:] == I).all()  # what is picked comes first
            assert ((places >= 0) & (places < boxes)).all()


def test_no_slots_are_picked_of_no_boxes():
    places, labels = outputs_of(
        lambda labels, priorities: sample(labels, priorities, 4, 0.5),
        np.zeros((2, 0), "int32"),
        np.zeros((2, 0), "float32"),
    )
    assert_array_equal(places.shape, (2, 0))
    assert_array_equal(labels.shape, (2, 0))


def test_losses_are_divided_by_the_sampled_boxes_or_by_the_full_count():
    sampled = np.array([[2, 2, 0, 0], [1, 1, 1, 0]], "float32")
    images = np.array([2, 1], "float32")
    assert float(Sample(4, 0.5).divisor(sampled, images)) == 7
    assert float(FullSample(4, 0.5).divisor(sampled, images)) == 12
