import math

from metrics.made import ground_truth, result

from keras_fpn.metrics import evaluate_boxes, evaluate_proposals, operating_point
from keras_fpn.report.text import (
    counted,
    lost_classes,
    metrics_table,
    percent,
    recommendation,
)

BOX = (10, 10, 40, 40)


def test_percents():
    assert percent(0.3704) == "37.0"
    assert percent(1.0) == "100.0"
    assert percent(math.nan) == "-"


def test_counts_are_in_words():
    one = evaluate_boxes(ground_truth([(1, 3, BOX)], 1), [result(1, 3, BOX, 0.5)])
    assert counted(one) == "1 photo, 1 object, 1 detection"
    many = evaluate_boxes(ground_truth([], 1200), [])
    assert counted(many) == "1,200 photos, 0 objects, 0 detections"


def test_the_table_stands_in_columns():
    truth = ground_truth([(1, 3, BOX)])
    metrics = evaluate_boxes(truth, [result(1, 3, BOX, 0.5), result(2, 17, BOX, 0.5)])
    proposals = evaluate_proposals(truth, [(1, [(10, 10, 50, 50)], [0.5])])
    assert metrics_table(metrics, proposals).splitlines() == [
        "   AP   AP50   AP75  AP_small  AP_medium  AP_large",
        "100.0  100.0  100.0         -      100.0         -",
        "",
        "  AR1   AR10  AR100  AR_small  AR_medium  AR_large",
        "100.0  100.0  100.0         -      100.0         -",
        "",
        "proposals     AR  AR_small  AR_medium  AR_large",
        "10         100.0         -      100.0         -",
        "100        100.0         -      100.0         -",
        "1000       100.0         -      100.0         -",
        "",
        "class     objects  detections     AP   AP50   AP75  AP_small  AP_medium  "
        "AP_large",
        "class 3         1           1  100.0  100.0  100.0         -      100.0  "
        "       -",
        "class 17        0           1      -      -      -         -          -  "
        "       -",
    ]


def test_detections_are_counted_at_the_best_threshold():
    truth = ground_truth([(1, 3, BOX), (2, 3, BOX)])
    found = [result(1, 3, BOX, 0.9), result(2, 3, (100, 10, 40, 40), 0.3)]
    point = operating_point(truth, found)
    table = metrics_table(evaluate_boxes(truth, found), point=point)
    heading, row = table.splitlines()[-2:]
    # Above 0.30 to 0.89 one is found, and right, of two: F1 is 2/3.
    assert heading.partition("  AP")[0].rstrip() == "class    objects  found > 0.60"
    assert row.split()[:4] == ["class", "3", "2", "1"]
    assert recommendation(point) == (
        "Best threshold: 0.60 (F1 66.7, precision 100.0, recall 50.0 at IoU 0.50)"
    )


def test_classes_that_the_best_threshold_loses_are_named():
    columns = {90: 10, 3: 60, 17: 110}  # category id -> x of its objects
    boxes = {number: (x, 10, 40, 40) for number, x in columns.items()}
    counts = {90: 9, 3: 4, 17: 4}
    scores = {90: [0.9] * 9, 3: [0.9, 0.3, 0.3, 0.3], 17: [0.9, 0.9, 0.3, 0.3]}
    objects = [(i, n, boxes[n]) for n in boxes for i in range(1, counts[n] + 1)]
    truth = ground_truth(objects, images=9)
    found = [
        result(image, number, boxes[number], score)
        for number in boxes
        for image, score in enumerate(scores[number], 1)
    ]
    # Many false dogs (90) at 0.5 make a threshold below 0.5 bad for all together.
    found += [result(i, 90, (150, 60, 20, 20), 0.5) for i in range(1, 10)]
    point = operating_point(truth, found)
    metrics = evaluate_boxes(truth, found)
    assert point.threshold == 0.7  # the middle of 0.50 to 0.89
    # Of class 17 half is found, which is not yet lost.
    assert lost_classes(metrics, point) == [
        "class 3: 1 of 4 objects are found above 0.70, 4 above 0.15, the best "
        "threshold of this class alone."
    ]


def test_many_lost_classes_are_counted():
    numbers = range(1, 8)
    box = {n: (5 + 25 * n, 10, 20, 20) for n in numbers}
    truth = ground_truth(
        [(n, n, box[n]) for n in numbers] + [(8, 9, BOX)], 8, [*numbers, 9]
    )
    found = [result(n, n, box[n], 0.2) for n in numbers] + [result(8, 9, BOX, 0.9)]
    found += [result(n, 9, (100, 60, 20, 20), 0.4) for n in range(1, 9)] * 40
    lines = lost_classes(evaluate_boxes(truth, found), operating_point(truth, found))
    assert len(lines) == 6
    assert lines[0].startswith(
        "class 1: 0 of 1 objects are found above 0.65, 1 above 0.10"
    )
    assert lines[-1] == "The same is true of 2 more classes."


def test_no_class_is_lost_where_all_is_found():
    truth = ground_truth([(1, 3, BOX)])
    found = [result(1, 3, BOX, 0.9)]
    assert (
        lost_classes(evaluate_boxes(truth, found), operating_point(truth, found)) == []
    )
