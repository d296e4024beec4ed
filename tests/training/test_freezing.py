import keras
import pytest
from models.tiny import tiny_backbone, tiny_detector

from keras_fpn.backbones import resnet18
from keras_fpn.training import exclude_from_decay, freeze_bottom_up


def trainable_names(backbone):
    return {layer.name for layer in backbone.layers if layer.trainable_weights}


def test_freezing_through_a_level_freezes_all_that_it_is_made_of():
    backbone = tiny_backbone()
    frozen = freeze_bottom_up(backbone, "C3")
    assert frozen == ["stem", "C2", "C3"]
    assert trainable_names(backbone) == {"C4", "C5"}
    assert len(backbone.trainable_weights) < len(backbone.weights)


def test_a_residual_network_freezes_as_the_published_recipes_do():
    backbone = resnet18(norm="group", channels=8)
    frozen = freeze_bottom_up(backbone, "C2")
    assert {name.split("_")[0] for name in frozen} == {"stem", "C2"}
    left = {name.split("_")[0] for name in trainable_names(backbone)}
    assert left == {"C3", "C4", "C5"}


def test_another_call_replaces_the_first_and_none_unfreezes():
    backbone = tiny_backbone()
    freeze_bottom_up(backbone, "C4")
    freeze_bottom_up(backbone, "C2")
    assert trainable_names(backbone) == {"C3", "C4", "C5"}
    assert freeze_bottom_up(backbone, None) == []
    assert trainable_names(backbone) == {"stem", "C2", "C3", "C4", "C5"}


def test_a_level_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"one of \['C2', 'C3'\].*through='C5'"):
        freeze_bottom_up(tiny_backbone(("C2", "C3")), "C5")


def test_norms_and_on_demand_biases_are_not_decayed():
    model = tiny_detector()
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    named = [weight for weight in model.trainable_weights if weight.name == "bias"]
    assert exclude_from_decay(optimizer, model, ("gamma", "beta", "bias")) == len(named)
    optimizer.build(model.trainable_variables)
    decayed = [w for w in model.trainable_weights if optimizer._use_weight_decay(w)]
    assert decayed
    assert {w.name for w in decayed} == {"kernel"}


def test_each_of_several_optimizers_leaves_out_what_is_not_decayed():
    model = tiny_detector()
    optimizers = keras.optimizers.OptimizerMap(keras.optimizers.AdamW())
    optimizers[".*box.*"] = keras.optimizers.AdamW()
    optimizer = keras.optimizers.MultiOptimizer(optimizers)
    excluded = exclude_from_decay(optimizer, model, ("bias",))
    optimizer.build(model.trainable_variables)
    parts = [
        [w.name for w in inner._trainable_variables if not inner._use_weight_decay(w)]
        for inner in optimizer.optimizers
    ]
    assert all(parts)
    assert sum(map(len, parts)) == excluded


def test_optimizers_that_a_function_chooses_are_refused():
    optimizer = keras.optimizers.MultiOptimizer(lambda _: keras.optimizers.AdamW())
    with pytest.raises(ValueError, match="OptimizerMap"):
        exclude_from_decay(optimizer, tiny_detector(), ("bias",))
