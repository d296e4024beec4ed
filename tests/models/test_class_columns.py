"""Which weights belong to classes, and how those of other classes are copied."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from keras_fpn.layers import BoxPredictor
from keras_fpn.models import ClassColumns, Parts
from keras_fpn.models.class_columns import _as_new, class_weights, copy_weights, renewed


@keras.saving.register_keras_serializable(package="tests")
@dataclass(frozen=True)
class Head(Parts):
    hidden: Any
    box_predictor: Any

    def class_columns(self):
        predictor = self.box_predictor
        return (
            ClassColumns(predictor.class_logits, background=True),
            ClassColumns(predictor.box_deltas, width=4),
        )


@keras.saving.register_keras_serializable(package="tests")
@dataclass(frozen=True)
class Tree(Parts):
    head: Head


def tree(classes, hidden=3, start=0):
    """Parts whose every weight is another number from `start` on."""
    dense = keras.layers.Dense(hidden, name="hidden")
    dense.build((None, 2))
    predictor = BoxPredictor(classes, name="box_predictor")
    predictor.build((None, 1, 3))
    parts = Tree(Head(dense, predictor))
    for layer in parts.layers().values():
        values = []
        for weight in layer.get_weights():
            values.append(start + np.arange(weight.size).reshape(weight.shape))
            start += weight.size
        layer.set_weights(values)
    return parts


def test_weights_of_classes_are_those_of_the_columns_layers():
    parts = tree(2)
    own = {id(weight) for weight in parts.head.box_predictor.weights}
    assert class_weights(parts) == own
    assert len(own) == 4


def test_known_classes_are_copied_wherever_they_stand():
    source, target = tree(3, start=1000), tree(2)
    before = target.head.box_predictor.get_weights()
    copy_weights(source, target, known=[(1, 0)])  # the target's second
    theirs = source.head.box_predictor.get_weights()
    kernel, bias, box_kernel, box_bias = target.head.box_predictor.get_weights()
    assert_array_equal(kernel[:, 1], theirs[0][:, 0])
    assert_array_equal(kernel[:, 2], theirs[0][:, 3])  # the background
    assert_array_equal(kernel[:, 0], before[0][:, 0])
    assert_array_equal(bias[[1, 2]], theirs[1][[0, 3]])
    assert_array_equal(box_kernel[:, 4:], theirs[2][:, :4])
    assert_array_equal(box_kernel[:, :4], before[2][:, :4])
    assert_array_equal(box_bias[4:], theirs[3][:4])
    for own, other in zip(
        target.head.hidden.get_weights(), source.head.hidden.get_weights(), strict=True
    ):
        assert_array_equal(own, other)


@keras.saving.register_keras_serializable(package="tests")
@dataclass(frozen=True)
class Repeated(Parts):
    layer: Any

    def class_columns(self):
        return (ClassColumns(self.layer, repeats=2),)


def test_columns_that_repeat_are_copied_in_every_group():
    source, target = keras.layers.Dense(6), keras.layers.Dense(4)  # 3 and 2 classes
    for layer in (source, target):
        layer.build((None, 1))
    source.bias.assign([10, 11, 12, 20, 21, 22])
    copy_weights(*(Tree(Repeated(one)) for one in (source, target)), known=[(1, 0)])
    assert_array_equal(target.bias, [0, 10, 0, 20])
    [columns] = Repeated(source).class_columns()
    assert columns.count(6) == 3
    assert ClassColumns(source, background=True).count(6) == 5


@pytest.mark.parametrize("known", [None, []])
def test_without_known_classes_their_weights_stay(known):
    source, target = tree(3, start=1000), tree(3)
    before = target.head.box_predictor.get_weights()
    copy_weights(source, target, known)
    after = target.head.box_predictor.get_weights()
    for one, two in zip(before, after, strict=True):
        assert_array_equal(one, two)
    assert_array_equal(target.head.hidden.get_weights()[1], [1006, 1007, 1008])


def test_other_shapes_are_refused_before_anything_is_copied():
    source, target = tree(2, hidden=5, start=1000), tree(2)
    before = target.head.hidden.get_weights()
    with pytest.raises(ValueError, match="received the source, whose hidden has"):
        copy_weights(source, target, None)
    assert_array_equal(target.head.hidden.get_weights()[0], before[0])


def test_new_parts_have_as_many_classes_as_asked_for():
    parts = tree(3)
    assert renewed(parts).head.box_predictor.num_classes == 3
    new = renewed(parts, 5)
    assert new.head.box_predictor.num_classes == 5
    assert not new.head.hidden.built
    assert new.head.hidden.units == 3


def test_configs_forget_how_layers_were_trained_but_norms_keep_their_statistics():
    policy = {"module": "keras", "config": {"name": "float32"}}
    norm = {"moving_variance_initializer": "ones", "trainable": False, "dtype": policy}
    layer = {"name": "conv", "trainable": False, "dtype": policy, "layers": [norm, 3]}
    kept_norm = {"moving_variance_initializer": "ones", "trainable": False}
    kept = {"name": "conv", "layers": [kept_norm, 3]}
    config = {"config": layer, "pair": (layer, "x"), "build_config": {}}
    assert _as_new(config, None) == {"config": kept, "pair": (kept, "x")}
    assert _as_new({"dtype": "int32"}, None) == {"dtype": "int32"}  # no policy


def test_layers_of_a_backbone_keep_their_classes():
    config = {"num_classes": 2, "backbone": {"layers": [{"num_classes": 7}]}}
    assert _as_new(config, 4) == {
        "num_classes": 4,
        "backbone": {"layers": [{"num_classes": 7}]},
    }
