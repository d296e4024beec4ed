"""A SavedModel that answers requests: what it refuses, and in which words."""

import shutil

import numpy as np
import pytest
from serving.conftest import encoded, smooth

from keras_fpn.serving.model_folder import find_version
from keras_fpn.serving.request_error import RequestError

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture(scope="module")
def model(exported):
    from keras_fpn.serving.served_model_tensorflow import ServedModel

    return ServedModel(find_version(exported))


def test_it_knows_its_signatures(model):
    signatures = {"serving_default", "image_tensor", "tf_example", "xyxy"}
    assert signatures <= set(model.signature_defs)
    assert model.only_input(None) == model.only_input("xyxy") == "inputs"
    inputs, outputs = model.default_names()
    assert inputs == ["inputs"]
    assert {"detection_boxes", "status"} <= set(outputs)


def test_bytes_and_text_are_strings_and_lists_are_pixels(model):
    photo = encoded(smooth(30, 40), "PNG")
    found = model.predict(None, {"inputs": [photo, "text"]})
    assert found["status"].tolist() == [b"ok", b"not_jpeg_or_png"]
    pixels = smooth(30, 40)[None].tolist()
    again = model.predict("image_tensor", {"inputs": pixels})
    np.testing.assert_array_equal(
        again["detection_boxes"], found["detection_boxes"][:1]
    )


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("absent", {"inputs": []}, 'name: "absent" not found'),
        (None, {"inputs": [], "more": []}, r"must be \['inputs'\], not"),
        (None, {}, r"must be \['inputs'\], not \[\]"),
        (None, {"inputs": [1, 2]}, "inputs: "),
        (None, {"inputs": None}, "inputs: "),
        (None, {"inputs": "text"}, r"the shape \(None,\); received \(\)"),
        (None, {"inputs": [["a"], ["b"]]}, r"received \(2, 1\)"),
        (None, {"inputs": [["a"], ["b", "c"]]}, "non-rectangular"),
        (None, {"inputs": ["\ud800"]}, "inputs: "),
        (
            "image_tensor",
            {"inputs": [[[[300, 0, 0]]]]},
            "must be 0 to 255; received 0 to 300",
        ),
        ("image_tensor", {"inputs": [[[[-1, 0, 0]]]]}, "received -1 to 0"),
        ("image_tensor", {"inputs": [[[[True, True, True]]]]}, "received bool"),
        ("image_tensor", {"inputs": [[1], [2, 3]]}, "inhomogeneous"),
        ("image_tensor", {"inputs": [[[[10**400, 0, 0]]]]}, "inputs: "),
        ("image_tensor", {"inputs": [[[[0.5, 0, 0]]]]}, "inputs: "),
        ("image_tensor", {"inputs": [[[[{}, 0, 0]]]]}, "inputs: "),
        ("image_tensor", {"inputs": [[[[0, 0]]]]}, r"received \(1, 1, 1, 2\)"),
    ],
)
def test_other_inputs_are_the_clients_fault(model, signature, inputs, message):
    with pytest.raises(RequestError, match=message) as refused:
        model.predict(signature, inputs)
    assert refused.value.status == "INVALID_ARGUMENT"


def test_what_tensorflow_has_no_memory_for_can_be_tried_again(model, monkeypatch):
    import tensorflow as tf

    def fail(error):
        def call(**inputs):
            raise error

        call.structured_input_signature = ((), {"inputs": tf.TensorSpec([], tf.string)})
        return call

    for error, status in (
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "UNAVAILABLE"),
        (tf.errors.InternalError(None, None, "bad"), "INTERNAL"),
        (tf.errors.InvalidArgumentError(None, None, "bad"), "INVALID_ARGUMENT"),
    ):
        monkeypatch.setattr(model, "_signatures", {"serving_default": fail(error)})
        with pytest.raises(RequestError) as refused:
            model.predict(None, {"inputs": "x"})
        assert refused.value.status == status


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "no variables"])
def test_a_damaged_model_is_named(exported, tmp_path, damage):
    from keras_fpn.serving.served_model_tensorflow import ServedModel

    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    graph = copy / "saved_model.pb"
    contents = {"empty": b"", "text": b"hello", "cut": graph.read_bytes()[:3000]}
    if damage in contents:
        graph.write_bytes(contents[damage])
    else:
        shutil.rmtree(copy / "variables")
    with pytest.raises(
        ValueError, match=r"that TensorFlow can load; received"
    ) as error:
        ServedModel(find_version(copy))
    assert str(graph) in str(error.value)
    assert len(str(error.value)) < 600
