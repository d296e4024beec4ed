import numpy as np
from metrics.made import ground_truth, result

from keras_fpn.metrics import evaluate_boxes, operating_point
from keras_fpn.report.confusion import confusion_table

BOX, FAR = (10, 10, 40, 40), (120, 10, 40, 40)


def table(categories, annotations, results):
    truth = ground_truth(annotations, category_ids=categories)
    metrics = evaluate_boxes(truth, results)
    return confusion_table(metrics, operating_point(truth, results))


def test_few_classes_are_a_matrix():
    annotations = [(1, 3, BOX), (1, 17, FAR), (2, 17, BOX)]
    found = [result(1, 3, BOX, 0.9), result(1, 3, FAR, 0.9), result(2, 3, FAR, 0.9)]
    made = table((90, 3, 17), annotations, found)
    # Above 0.00 to 0.89 alike, of which 0.45 is the middle.
    assert made["title"] == "Confusion, above a score of 0.45"
    assert made["rows"] == [
        ["object", "not found", "class 3", "class 17"],  # class 90 does not occur
        ["class 3", "", "1", ""],
        ["class 17", "1", "1", ""],
        ["nothing", "", "1", ""],
    ]


def test_many_classes_are_a_list_of_what_was_confused_most():
    classes = range(1, 15)
    annotations = [(1, number, (number * 10, 0, 9, 9)) for number in classes]
    annotations += [(2, 1, (number * 10, 0, 9, 9)) for number in (3, 5)]
    found = [result(1, 1, (10, 0, 9, 9), 0.9)]
    found += [result(2, 2, (number * 10, 0, 9, 9), 0.9) for number in (3, 5)]
    made = table(classes, annotations, found)
    assert made["rows"][:2] == [
        ["object", "taken for", "times"],
        ["class 1", "class 2", "2"],
    ]
    assert made["rows"][2:] == [
        [f"class {number}", "not found", "1"] for number in classes[1:]
    ]
    assert "most frequent" in made["text"]


def test_the_operating_point_is_not_changed():
    truth = ground_truth([(1, 3, BOX)], category_ids=range(1, 15))
    results = [result(1, 3, BOX, 0.9)]
    point = operating_point(truth, results)
    before = point.confusion.copy()
    confusion_table(evaluate_boxes(truth, results), point)
    np.testing.assert_array_equal(point.confusion, before)
