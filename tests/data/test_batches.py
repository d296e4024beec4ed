"""Planning: which photos share a batch, in which order and shape."""

import dataclasses
import itertools

import numpy as np
import pytest
from data.painted import painted_dataset

from keras_fpn.data import CopyPaste, RandomFlip
from keras_fpn.data.batch_shapes import bucket_shapes, holding_shapes
from keras_fpn.data.batches import (
    Batch,
    object_counts,
    padded_counts,
    plan_epoch,
)

WIDE, HIGH = (40, 80), (80, 40)
SHAPES = [WIDE, HIGH]
# Places 0, 2, 3, 5, 6 are wide, 1 and 4 high.
SIZES = np.array([(40, 80), (80, 40), (30, 80), (40, 60), (70, 40), (40, 70), (10, 10)])


def drawn_sizes(number, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(1, 120, (number, 2))


def test_photos_of_one_shape_share_batches_in_their_order():
    # 10 x 10 fits into both shapes of the same area: the first is taken.
    assert plan_epoch(SIZES, 2, SHAPES) == [
        Batch((0, 2), WIDE),
        Batch((1, 4), HIGH),
        Batch((3, 5), WIDE),
        Batch((6,), WIDE),
    ]


def test_without_shapes_a_batch_is_as_high_and_wide_as_its_photos_need():
    assert plan_epoch(SIZES, 2, divisor=32) == [
        Batch((0, 1), (96, 96)),  # 80 high, 80 wide
        Batch((2, 3), (64, 96)),  # 40 high, 80 wide
        Batch((4, 5), (96, 96)),
        Batch((6,), (32, 32)),
    ]


def test_incomplete_batches_are_filled_on_demand():
    plan = plan_epoch(SIZES, 4, SHAPES, fill=True)
    assert [batch.indices for batch in plan] == [
        (0, 2, 3, 5),
        (1, 4, ~1, ~4),
        (6, ~6, ~6, ~6),
    ]


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("shapes", [None, "buckets"])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_every_photo_is_in_one_batch_that_holds_it(shapes, batch_size, shuffle, fill):
    sizes = drawn_sizes(47)
    shapes = bucket_shapes(sizes, 16, 4) if shapes else None
    for epoch in range(3):
        plan = plan_epoch(sizes, batch_size, shapes, 5, epoch, shuffle, fill, 16)
        found = [i for batch in plan for i in batch.indices if i >= 0]
        assert sorted(found) == list(range(47))
        for batch in plan:
            assert len(batch.indices) <= batch_size
            assert len(batch.indices) == batch_size or not fill
            assert batch.shape[0] % 16 == batch.shape[1] % 16 == 0
            photos = sizes[[i for i in batch.indices if i >= 0]]
            assert (photos <= batch.shape).all()


def test_the_order_is_a_function_of_seed_and_epoch():
    def plan(seed, epoch):
        return plan_epoch(drawn_sizes(60), 4, None, seed, epoch, shuffle=True)

    plans = {(s, e): plan(s, e) for s, e in itertools.product((1, 2), (0, 1, 7))}
    assert all(plan(*key) == found for key, found in plans.items())
    for one, other in itertools.combinations(plans.values(), 2):
        assert one != other


def test_shuffling_mixes_photos_and_batches():
    sizes = np.repeat(SIZES[:2], 500, axis=0)
    plan = plan_epoch(sizes, 2, SHAPES, shuffle=True)
    gaps = [abs(batch.indices[0] - batch.indices[1]) for batch in plan]
    assert np.mean(gaps) > 100  # of 500 photos of a shape: a third on average
    changes = sum(a.shape != b.shape for a, b in itertools.pairwise(plan))
    assert 200 < changes < 300  # of 499: half on average


def test_each_batch_draws_one_scale_and_every_epoch_has_as_many_batches():
    half, full = SIZES // 2, SIZES
    scales = np.stack([half, full])
    seen = set()
    for epoch in range(20):
        plan = plan_epoch(scales, 2, None, 3, epoch, shuffle=True, divisor=8)
        assert len(plan) == 4
        for batch in plan:
            needed = scales[batch.scale, list(batch.indices)].max(axis=0)
            assert batch.shape == tuple(-(-needed // 8) * 8)
        seen |= {batch.scale for batch in plan}
    assert seen == {0, 1}


def test_a_smaller_scale_takes_a_smaller_shape():
    scales = np.array([[(20, 40)] * 8, [(40, 80)] * 8])
    plan = plan_epoch(scales, 1, [(40, 80), (20, 40)])
    assert {(batch.scale, batch.shape) for batch in plan} == {
        (0, (20, 40)),
        (1, (40, 80)),
    }


def test_buckets_are_the_best_cuts_by_proportion():
    random = np.random.default_rng(1)
    for count in (1, 2, 3, 5):
        sizes = random.integers(1, 9, (8, 2)) * 10
        shapes = bucket_shapes(sizes, 10, count)
        order = np.argsort(sizes[:, 0] / sizes[:, 1], kind="stable")
        best = np.inf
        for cuts in itertools.combinations(range(1, 8), count - 1):
            groups = np.split(sizes[order], cuts)
            area = sum(len(g) * np.prod(g.max(axis=0)) for g in groups)
            best = min(best, area)
        areas = np.prod(shapes, axis=1)[holding_shapes(sizes, shapes)]
        assert len(shapes) <= count
        # Photos may fit another group's shape, smaller than their own group's.
        assert areas.sum() <= best


def test_buckets_hold_photos_resized_to_800_by_1333_with_little_padding():
    # Proportions as cameras have them: 16:9, 3:2, 4:3, square, 3:4, 2:3.
    sizes = [
        (749, 1333),
        (800, 1200),
        (800, 1066),
        (800, 800),
        (1066, 800),
        (1200, 800),
    ]
    # In units of 800: 3 x 1344 + 800 + 2 x 1216 = 7264. With the square one between the
    # 4:3 and the high ones: 2 x 1344 + 2 x 1088 + 2 x 1216 = 7296.
    assert bucket_shapes(sizes, 32, 3) == [(800, 1344), (800, 800), (1216, 800)]
    assert bucket_shapes(sizes, 32, 1) == [(1216, 1344)]
    assert len(bucket_shapes(sizes, 32, 9)) == 6
    assert bucket_shapes(sizes[:1] * 5, 32, 3) == [(768, 1344)]


def test_a_photo_takes_the_smallest_shape_that_holds_it():
    shapes = [(100, 100), (50, 100), (60, 60)]
    sizes = [(50, 100), (55, 60), (61, 10), (1, 1)]
    assert holding_shapes(sizes, shapes).tolist() == [1, 2, 0, 2]


def test_counts_of_objects_take_the_largest_and_its_half_quarter_and_eighth():
    # 93 / 2 = 46.5, / 4 = 23.25, / 8 = 11.625, rounded up.
    counts = [0, 1, 12, 13, 24, 25, 47, 48, 93]
    expected = [12, 12, 12, 24, 24, 47, 47, 93, 93]
    assert padded_counts(counts, few=True).tolist() == expected
    assert padded_counts(counts, few=False).tolist() == [93] * 9
    assert padded_counts([3, 2, 1, 0], few=True).tolist() == [3, 2, 1, 1]
    assert padded_counts([0, 0], few=True).tolist() == [1, 1]


def test_each_copy_paste_adds_all_that_can_be_pasted(tmp_path):
    dataset = painted_dataset(tmp_path, SIZES[:3], counts=[0, 1, 3])
    crowd = dataclasses.replace(dataset[2].objects, is_crowd=[True, False, False])
    photos = (*dataset.photos[:2], dataclasses.replace(dataset[2], objects=crowd))
    dataset = dataclasses.replace(dataset, photos=photos)
    paste, flip = CopyPaste(), RandomFlip()
    assert object_counts(dataset, (flip,)).tolist() == [0, 1, 3]
    # Of photo 2, a crowd region and two objects, two can be pasted.
    assert object_counts(dataset, (paste, flip)).tolist() == [2, 3, 5]
    # The second one pastes from a photo that has got two more by the first.
    assert object_counts(dataset, (paste, flip, paste)).tolist() == [6, 7, 9]


@pytest.mark.parametrize("fill", [False, True])
def test_a_batch_is_padded_to_the_objects_of_its_largest_photo(fill):
    counts = padded_counts([0, 8, 1, 2, 3, 1, 16], few=True)
    plan = plan_epoch(SIZES, 2, shuffle=True, fill=fill, counts=counts)
    for batch in plan:
        photos = [i for i in batch.indices if i >= 0]
        assert batch.max_objects == counts[photos].max()
    assert {batch.max_objects for batch in plan} > {16}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan_epoch(SIZES, 0), "at least 1 photo; received batch_size=0"),
        (lambda: plan_epoch(np.zeros((0, 2)), 2), r"received sizes of shape \(0, 2\)"),
        (lambda: plan_epoch([1, 2, 3], 2), r"received sizes of shape \(3,\)"),
        (
            lambda: plan_epoch(SIZES, 2, [WIDE]),
            r"received shapes=\[\(40, 80\)\], and photo 1 \(of 2 that do not fit\) is "
            r"\(80, 40\)",
        ),
        (lambda: bucket_shapes(SIZES, 32, 0), "at least 1; received 7 photos, count=0"),
        (lambda: bucket_shapes([], 32), "received 0 photos"),
    ],
)
def test_what_cannot_be_planned_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
