import json
import math

import numpy as np
import pytest

from keras_fpn.data import read_coco_panoptic
from keras_fpn.metrics import PanopticScores

THINGS, STUFF = ("cat", "dog"), ("sky", "road")


def segment(number, label, isthing=True, **more):
    return {"id": number, "label": label, "isthing": isthing, **more}


def scored(*photos, things=THINGS, stuff=STUFF):
    scores = PanopticScores(things, stuff)
    for photo in photos:
        scores.add(*photo)
    return scores.result()


# Ten pixels of one cat, of another, twenty of sky; the last row has no truth.
TRUTH = np.repeat([1, 2, 3, 3, 0], 10).reshape(5, 10)
SEGMENTS = [segment(1, 0), segment(2, 0), segment(3, 0, isthing=False)]


def by_loop(photos):
    """PQ, SQ and RQ by class, from sets of pixels, by the words of the paper."""
    sums = {}
    for truth, truth_segments, predicted, segments in photos:
        real = {
            s["id"]: set(map(tuple, np.argwhere(truth == s["id"])))
            for s in truth_segments
        }
        found = {
            s["id"]: set(map(tuple, np.argwhere(predicted == s["id"])))
            for s in segments
        }
        void = set(map(tuple, np.argwhere(truth == 0)))
        kind = {s["id"]: (s["isthing"], s["label"]) for s in segments}
        matched_real, matched_found = set(), set()
        crowds = {}
        for s in truth_segments:
            name = s["isthing"], s["label"]
            total = sums.setdefault(name, [0.0, 0, 0, 0])
            if s.get("iscrowd"):
                crowds[name] = real[s["id"]]
                continue
            for number, pixels in found.items():
                same = real[s["id"]] & pixels
                iou = len(same) / len(real[s["id"]] | (pixels - void))
                if kind[number] == name and iou > 0.5:
                    total[0] += iou
                    total[1] += 1
                    matched_real.add(s["id"])
                    matched_found.add(number)
            total[3] += s["id"] not in matched_real
        for number, pixels in found.items():
            total = sums.setdefault(kind[number], [0.0, 0, 0, 0])
            excused = void | crowds.get(kind[number], set())
            if number not in matched_found and len(pixels & excused) <= len(pixels) / 2:
                total[2] += 1
    return {
        name: (
            iou / (tp + fp / 2 + fn / 2),
            iou / tp if tp else 0,
            tp / (tp + fp / 2 + fn / 2),
        )
        for name, (iou, tp, fp, fn) in sums.items()
        if tp + fp + fn
    }


def test_a_case_worked_by_hand():
    predicted = np.zeros((5, 10), int)
    predicted[0, :8] = 7  # IoU 0.8 with the first cat
    predicted[1, :5] = 8  # IoU 0.5 with the second: no match
    predicted[2:] = 9  # all of the sky, and what does not count
    segments = [segment(7, 0), segment(8, 0), segment(9, 0, isthing=False)]
    found = scored((TRUTH, SEGMENTS, predicted, segments))
    cat, _, sky, _ = found.per_class
    assert (cat.matched, cat.wrong, cat.missed) == (1, 1, 1)
    assert cat.values == {
        "PQ": pytest.approx(0.8 / 2),
        "SQ": pytest.approx(0.8),
        "RQ": pytest.approx(1 / 2),
    }
    assert (sky.matched, sky.wrong, sky.missed) == (1, 0, 0)
    assert sky.values == {"PQ": 1, "SQ": 1, "RQ": 1}
    # Dogs and road are neither there nor predicted: they do not count.
    assert found.values == {
        "PQ": pytest.approx(0.7),
        "SQ": pytest.approx(0.9),
        "RQ": pytest.approx(0.75),
        "PQ_things": pytest.approx(0.4),
        "SQ_things": pytest.approx(0.8),
        "RQ_things": pytest.approx(0.5),
        "PQ_stuff": 1,
        "SQ_stuff": 1,
        "RQ_stuff": 1,
    }
    assert [one.isthing for one in found.per_class] == [True, True, False, False]


def test_another_class_does_not_match():
    segments = [segment(1, 1), segment(2, 0), segment(3, 1, isthing=False)]
    found = scored((TRUTH, SEGMENTS, TRUTH, segments))
    counts = [(one.matched, one.wrong, one.missed) for one in found.per_class]
    assert counts == [(1, 0, 1), (0, 1, 0), (0, 0, 1), (0, 1, 0)]
    # Cat: 1 / (1 + 1/2); dog, sky and road 0.
    assert found.values["PQ"] == pytest.approx((2 / 3) / 4)


def test_a_segment_of_which_more_than_half_has_no_truth_is_not_wrong():
    for count, wrong in ((2, 1), (3, 0)):
        predicted = np.zeros((5, 10), int)
        predicted[3, :2], predicted[4, :count] = 5, 5
        found = scored((TRUTH, SEGMENTS, predicted, [segment(5, 1)]))
        assert found.per_class[1].wrong == wrong


def test_a_region_of_many_is_neither_matched_nor_missed_and_excuses_its_class():
    truth = [segment(1, 0, iscrowd=True), *SEGMENTS[1:]]
    predicted = np.where(TRUTH == 2, 2, 0)
    predicted[0, :3] = 5
    for label, wrong in ((0, [0, 0]), (1, [0, 1])):
        segments = [segment(2, 0), segment(5, label)]
        found = scored((TRUTH, truth, predicted, segments))
        assert [one.wrong for one in found.per_class[:2]] == wrong
        assert (found.per_class[0].matched, found.per_class[0].missed) == (1, 0)


def random_photo(draw, crowd=0.2):
    """A truth of blocks, and a prediction that is partly right."""
    truth = np.kron(draw.integers(0, 7, (4, 4)), np.ones((4, 4), int))
    predicted = np.where(draw.random((16, 16)) < 0.25, 0, truth * 300)
    other = draw.random((16, 16)) < 0.08
    predicted[other] = draw.integers(0, 7, other.sum()) * 300

    def named(numbers, scale):
        return [
            # Stuff has one segment per class; the sky's label is that of a cat.
            segment(n, *((0, False) if n == scale else (n // scale % 2, True)))
            for n in np.unique(numbers[numbers > 0]).tolist()
        ]

    truth_segments = named(truth, 1)
    for one in truth_segments:
        one["iscrowd"] = bool(one["isthing"] and draw.random() < crowd)
    segments = named(predicted, 300)
    for one in segments:
        if one["isthing"] and draw.random() < 0.2:
            one["label"] = 1 - one["label"]
    return truth, truth_segments, predicted, segments


def test_random_photos_equal_the_plain_loop():
    draw = np.random.default_rng(2)
    photos = [random_photo(draw) for _ in range(30)]
    found, expected = scored(*photos), by_loop(photos)
    assert len(expected) == 3
    for name, numbers in expected.items():
        isthing, label = name
        one = found.per_class[label if isthing else 2 + label]
        np.testing.assert_allclose(list(one.values.values()), numbers, rtol=1e-12)
        assert 0 < one.values["PQ"] < 0.9, "the case must be able to fail"
    mean = np.mean(list(expected.values()), axis=0)
    values = [found.values[name] for name in ("PQ", "SQ", "RQ")]
    np.testing.assert_allclose(values, mean, rtol=1e-12)
    assert found.images == 30


def test_the_right_answer_is_1_and_empty_constant_and_shifted_ones_are_low():
    truth, segments, _, _ = random_photo(np.random.default_rng(3), crowd=0)
    perfect = scored((truth, segments, truth, segments)).values
    assert {v for v in perfect.values() if not math.isnan(v)} == {1.0}
    empty = scored((truth, segments, np.zeros_like(truth), [])).values
    assert {v for v in empty.values() if not math.isnan(v)} == {0.0}
    constant = scored((truth, segments, np.ones_like(truth), [segment(1, 0)])).values
    assert constant["PQ"] == 0
    shifted = np.roll(truth, 5, axis=1)
    assert scored((truth, segments, shifted, segments)).values["PQ"] < 0.2


def test_without_segments_there_is_no_number():
    nothing = np.zeros((2, 2), int)
    found = scored((nothing, [], nothing, []))
    assert all(map(math.isnan, found.values.values()))
    assert found.to_dict()["values"]["PQ"] is None
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("predicted", "segments", "message"),
    [
        (TRUTH[:4], SEGMENTS, r"\(5, 10\) and \(4, 10\)"),
        (TRUTH, SEGMENTS[:2], r"a map with \[3\] and segments \[1, 2\]"),
        (TRUTH, [*SEGMENTS, segment(4, 0)], r"a map without those of \{'id': 4"),
        (TRUTH, [*SEGMENTS, SEGMENTS[0]], r"a map with \[\] and segments .* 1\]"),
        (TRUTH - 1, [segment(0, 0), *SEGMENTS], r"a map with \[0, -1\]"),
        (TRUTH, [segment(1, 2), *SEGMENTS[1:]], r"0\.\.1 of things.*'label': 2"),
    ],
)
def test_what_does_not_fit_is_an_error(predicted, segments, message):
    with pytest.raises(ValueError, match=message):
        scored((TRUTH, SEGMENTS, predicted, segments))


def test_the_sample_of_panopticapi(data_folder):
    folder = data_folder / "metrics/panoptic/sample_data"
    dataset = read_coco_panoptic(
        folder / "panoptic_examples.json", images=folder / "input_images"
    )
    photos, moved = [], []
    for photo in dataset.photos:
        numbers, segments = photo.pixel_labels.panoptic_map((photo.height, photo.width))
        photos.append((numbers, segments, numbers, segments))
        moved.append((numbers, segments, np.roll(numbers, 6, axis=1), segments))
    names = {"things": dataset.class_names, "stuff": dataset.stuff_names}
    # A copy of the truth: regions of many excuse themselves.
    assert set(scored(*photos, **names).values.values()) == {1.0}
    assert 0.3 < scored(*moved, **names).values["PQ"] < 0.7
    found = scored(moved[0], **names)
    for (isthing, label), numbers in by_loop(moved[:1]).items():
        one = found.per_class[label + (0 if isthing else len(names["things"]))]
        np.testing.assert_allclose(list(one.values.values()), numbers, rtol=1e-12)
