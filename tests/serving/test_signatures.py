"""The signatures of a detector whose answers are known by hand, and of a real one."""

from types import MappingProxyType

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving.conftest import FixedDetector, encoded, smooth
from skimage import data

from keras_fpn.export import export_saved_model
from keras_fpn.preprocessing import Preprocessing

pytestmark = pytest.mark.tensorflow_only

GARDEN = {
    "detection_boxes": (tf.float32, [None, 20, 4]),
    "detection_classes": (tf.int32, [None, 20]),
    "detection_scores": (tf.float32, [None, 20]),
    "num_detections": (tf.int32, [None]),
    "image_info": (tf.float32, [None, 4, 2]),
    "status": (tf.string, [None]),
}
OWN = {
    "boxes": (tf.float32, [None, 20, 4]),
    "labels": (tf.int32, [None, 20]),
    "scores": (tf.float32, [None, 20]),
    "num_detections": (tf.int32, [None]),
    "status": (tf.string, [None]),
}


def example(**features):
    """Returns a serialized tf.train.Example of bytes features."""
    made = {
        name.replace("__", "/"): tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[value])
        )
        for name, value in features.items()
    }
    features = tf.train.Features(feature=made)
    return tf.train.Example(features=features).SerializeToString()


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    """Returns the signatures of a FixedDetector, exported with some options."""

    def export(**options):
        model = FixedDetector(Preprocessing(min_size=100, max_size=150))
        folder = tmp_path_factory.mktemp("models") / "fixed"
        folder = export_saved_model(model, folder, frozen=False, **options)
        return tf.saved_model.load(str(folder))

    return export


def test_signatures_have_the_names_and_types_of_the_documentation(loaded):
    assert set(loaded.signatures) == {
        "serving_default",
        "image_tensor",
        "tf_example",
        "xyxy",
    }
    for name, function in loaded.signatures.items():
        [(title, spec)] = function.structured_input_signature[1].items()
        assert title == "inputs"
        if name == "image_tensor":
            assert (spec.dtype, spec.shape[1:]) == (tf.uint8, [None, None, 3])
        else:
            assert (spec.dtype, spec.shape.rank) == (tf.string, 1)
        outputs = {
            title: (spec.dtype, spec.shape.as_list())
            for title, spec in function.structured_outputs.items()
        }
        assert outputs == (OWN if name == "xyxy" else GARDEN)


def test_every_signature_gives_the_same_answer(ask):
    photo = data.coffee()
    default = ask([encoded(photo, "PNG")])
    assert default["num_detections"] > 0
    pixels = ask(photo[None], "image_tensor")
    parsed = ask([example(image__encoded=encoded(photo, "PNG"))], "tf_example")
    for name, value in default.items():
        np.testing.assert_array_equal(pixels[name], value)
        np.testing.assert_array_equal(parsed[name], value)
    own = ask([encoded(photo, "PNG")], "xyxy")
    boxes = default["detection_boxes"][..., [1, 0, 3, 2]]
    np.testing.assert_array_equal(own["boxes"], boxes)
    np.testing.assert_array_equal(own["scores"], default["detection_scores"])
    ids = np.array([17, 18, 48, -1])[own["labels"]]
    np.testing.assert_array_equal(ids, default["detection_classes"])


def test_boxes_are_in_the_photos_own_pixels_and_info_says_what_was_done(fixed):
    serve = fixed().signatures["serving_default"]
    # 200x300 becomes 100x150; 60x300 may be no wider than 150: 30x150.
    photos = [encoded(smooth(200, 300)), encoded(smooth(60, 300))]
    found = serve(inputs=tf.constant(photos))
    boxes = [[[0, 0, h, 300], [0, 0, h, 150], [0, 0, 0, 0]] for h in (200, 60)]
    np.testing.assert_allclose(found["detection_boxes"], boxes, rtol=1e-6)
    assert found["detection_classes"].numpy().tolist() == [[48, 17, -1]] * 2
    info = [
        [[200, 300], [100, 150], [0.5, 0.5], [0, 0]],
        [[60, 300], [30, 150], [0.5, 0.5], [0, 0]],
    ]
    np.testing.assert_allclose(found["image_info"], info, rtol=1e-6)


def test_boxes_can_be_shares_of_the_photos_sides(fixed):
    loaded = fixed(normalized_boxes=True)
    found = loaded.signatures["serving_default"](
        inputs=tf.constant([encoded(smooth(200, 300)), b"none"])
    )
    whole, half = [0, 0, 1, 1], [0, 0, 1, 0.5]
    boxes = [[whole, half, [0] * 4], [[0] * 4] * 3]
    np.testing.assert_allclose(found["detection_boxes"], boxes, rtol=1e-6)
    assert "xyxy" not in loaded.signatures


def test_the_limit_of_pixels_is_an_option_and_holds_for_every_signature(fixed):
    loaded = fixed(max_pixels=200 * 300)
    inside, beyond = smooth(200, 300), smooth(200, 301)
    for name, wrap in (
        ("serving_default", encoded),
        ("tf_example", lambda photo: example(image__encoded=encoded(photo))),
        ("image_tensor", lambda photo: photo),
    ):
        serve = loaded.signatures[name]
        for photo, status in ((inside, b"ok"), (beyond, b"too_many_pixels")):
            found = serve(inputs=tf.convert_to_tensor(wrap(photo))[None])
            assert found["status"].numpy().tolist() == [status]
        assert found["image_info"].numpy()[0, 0].tolist() == [200, 301]


class MaskedDetector(FixedDetector):
    """A FixedDetector whose masks of 2 x 2 cells are over the boxes' upper half."""

    output = dict.fromkeys((*FixedDetector.output, "masks", "mask_windows"))

    def __call__(self, inputs, training):
        found = super().__call__(inputs, training)
        upper = found["boxes"] * np.float32([1, 1, 1, 0.5])
        masks = found["scores"][..., None, None] * np.ones((2, 2), "float32")
        return {**found, "masks": masks, "mask_windows": upper}


@pytest.mark.parametrize("normalized", [False, True])
def test_masks_are_crops_of_outer_boxes(tmp_path, normalized):
    model = MaskedDetector(Preprocessing(min_size=100, max_size=150))
    options = {"normalized_boxes": normalized, "with_xyxy": True}
    loaded = tf.saved_model.load(
        str(export_saved_model(model, tmp_path / "masked", frozen=False, **options))
    )
    photos = tf.constant([encoded(smooth(200, 300)), b"none"])
    found = loaded.signatures["serving_default"](inputs=photos)
    masks = np.zeros((2, 3, 2, 2))
    masks[0, 0], masks[0, 1] = 0.75, 0.5
    np.testing.assert_array_equal(found["detection_masks"], masks)
    height, width = (1, 1) if normalized else (200, 300)
    windows = [[0, 0, height / 2, width], [0, 0, height / 2, width / 2], [0] * 4]
    expected = [windows, [[0] * 4] * 3]
    np.testing.assert_allclose(found["detection_outer_boxes"], expected, rtol=1e-6)
    own = loaded.signatures["xyxy"](inputs=photos)
    np.testing.assert_array_equal(own["masks"], masks)
    windows = [[0, 0, 300, 100], [0, 0, 150, 100], [0] * 4]
    np.testing.assert_allclose(own["mask_windows"][0], windows, rtol=1e-6)


class MapDetector(FixedDetector):
    """Finds no objects. A pixel has class 0 where it is red, and class 1 elsewhere."""

    output = MappingProxyType({"semantic_logits": None})

    def __call__(self, inputs, training):
        red = inputs["images"][:, ::4, ::4, :1]
        return {"semantic_logits": keras.ops.concatenate([red, 255 - red], axis=-1)}


def test_a_map_alone_is_of_the_resized_photo_in_every_signature(tmp_path):
    model = MapDetector(Preprocessing(min_size=96, max_size=144))
    folder = export_saved_model(model, tmp_path / "m", frozen=False, with_xyxy=True)
    loaded = tf.saved_model.load(str(folder))
    photos = tf.constant([encoded(smooth(200, 300)), b"none"])  # from black to red
    for signature in ("serving_default", "xyxy"):
        answer = loaded.signatures[signature](inputs=photos)
        found = {name: value.numpy() for name, value in answer.items()}
        assert set(found) == {"semantic_map", "image_info", "status"}
        assert found["image_info"][0, :2].tolist() == [[200, 300], [96, 144]]
        assert found["semantic_map"].dtype == np.uint8
        assert found["semantic_map"].shape == (2, 96, 160)
        one, none = found["semantic_map"]
        assert (one[:, :68] == 1).all()
        assert (one[:, 76:144] == 0).all()  # the edge is exact to one cell of 4 pixels
        assert (one[:, 144:] == 255).all()
        assert (none == 255).all()


def test_outputs_that_have_no_name_for_servers_are_refused(tmp_path):
    model = FixedDetector(Preprocessing())
    model.output = {**model.output, "depths": None}
    with pytest.raises(ValueError, match=r"received fixed with \['boxes', 'depths'"):
        export_saved_model(model, tmp_path)
    assert list(tmp_path.iterdir()) == []
