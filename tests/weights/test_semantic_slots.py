"""Which tensor of detectron2's semantic head goes where."""

import numpy as np
import pytest
from models.tiny_panoptic import STUFF
from numpy.testing import assert_array_equal
from on_backend import arrays
from weights import test_detectron2
from weights.test_mask_slots import detectron2_entries, kernel, tiny_mask_model
from weights.torchvision_tensors import affine, random

from keras_fpn.layers import SemanticFPNHead
from keras_fpn.models import panoptic_fpn
from keras_fpn.weights import load_detectron2

CHANNELS, WIDTH = test_detectron2.CHANNELS, 6
HEAD = "sem_seg_head"


def semantic_entries():
    """Yields keys and shapes: P2 has one convolution, and P3, doubled once, too."""
    for level in (2, 3):
        key = f"{HEAD}.p{level}.0"
        yield f"{key}.weight", (WIDTH, CHANNELS, 3, 3)
        yield f"{key}.norm.weight", (WIDTH,)
        yield f"{key}.norm.bias", (WIDTH,)
    yield from affine(f"{HEAD}.predictor", (1 + len(STUFF), WIDTH, 1, 1))


@pytest.fixture(scope="module")
def tensors():
    others = [*test_detectron2.entries(), *test_detectron2.head_entries()]
    return random([*others, *detectron2_entries(), *semantic_entries()])


@pytest.fixture(scope="module")
def model():
    parts = tiny_mask_model(test_detectron2.tiny_faster_rcnn).parts.by_name()
    return panoptic_fpn(
        num_classes=3,
        **parts,
        stuff=STUFF,
        semantic_head=SemanticFPNHead(WIDTH, name="semantic_head"),
    )


def test_tensors_go_where_their_names_say(model, tensors):
    load_detectron2(model, tensors)
    for name, [convolution] in model.semantic_head.convolutions.items():
        key = f"{HEAD}.{name.lower()}.0"
        assert_array_equal(arrays(convolution.kernel), kernel(tensors[f"{key}.weight"]))
        norm = convolution.group_norm
        assert_array_equal(arrays(norm.gamma), tensors[f"{key}.norm.weight"])
        assert_array_equal(arrays(norm.beta), tensors[f"{key}.norm.bias"])
    logits = model.semantic_predictor.logits
    weight = tensors[f"{HEAD}.predictor.weight"]
    assert_array_equal(arrays(logits.kernel), kernel(weight))
    assert_array_equal(arrays(logits.bias), tensors[f"{HEAD}.predictor.bias"])


def test_other_stuff_is_refused(model, tensors):
    key = f"{HEAD}.predictor.bias"
    with pytest.raises(ValueError, match=rf"1 misshapen \['{key} \(5,\)'\]"):
        load_detectron2(model, {**tensors, key: np.zeros(5, "float32")})


def test_other_classes_of_things_keep_the_stuff(model, tensors):
    before = model.box_predictor.class_logits.get_weights()
    changed = {key: 2 * tensor for key, tensor in tensors.items()}
    load_detectron2(model, changed, keep_classes=False)
    for one, two in zip(
        model.box_predictor.class_logits.get_weights(), before, strict=True
    ):
        assert_array_equal(one, two)
    bias = arrays(model.semantic_predictor.logits.bias)
    assert_array_equal(bias, changed[f"{HEAD}.predictor.bias"])
