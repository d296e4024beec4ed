import math

from metrics.made import ground_truth, result

from keras_fpn.metrics import evaluate_boxes, evaluate_proposals, operating_point
from keras_fpn.report.text import counted, metrics_table, percent, recommendation

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
