"""What the tests of serving share: exported detectors, loaded by plain TensorFlow."""

import io
from types import MappingProxyType

import keras
import numpy as np
import pytest
from models.tiny import tiny_detector
from PIL import Image

from keras_fpn.export import export_saved_model
from keras_fpn.preprocessing import Preprocessing

MAX_PHOTOS = 64  # more than a test asks at once, but for the test of the limit
CLASSES = {"class_names": ["cat", "dog", "fork"], "category_ids": [17, 18, 48]}


def encoded(pixels, form="JPEG", **options):
    """Returns a uint8 image as a file's bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def smooth(height, width):
    """Returns a uint8 photo (height, width, 3) of slow gradients with an edge."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 // width, y * 255 // height, 255 * (x + y > height)]
    return np.stack(planes, axis=-1).astype(np.uint8)


class FixedDetector:
    """Finds two objects: the whole photo, and its left half; no layers, no weights."""

    name = "fixed"
    class_names = CLASSES["class_names"]
    category_ids = CLASSES["category_ids"]
    output = dict.fromkeys(("boxes", "labels", "scores", "num_detections"))
    weights = ()
    stuff_set = None
    extra_inputs = MappingProxyType({})

    def __init__(self, preprocessing):
        self.preprocessing = preprocessing

    def get_config(self):
        return {"preprocessing": self.preprocessing.to_config()}

    @classmethod
    def from_config(cls, config):
        return cls(Preprocessing.from_config(config["preprocessing"]))

    def _flatten_layers(self):
        return ()

    def __call__(self, inputs, training):
        height, width = inputs["image_sizes"][:, 0], inputs["image_sizes"][:, 1]
        zero = keras.ops.zeros_like(height)
        whole = keras.ops.stack([zero, zero, width, height], axis=-1)
        left = keras.ops.stack([zero, zero, width / 2, height], axis=-1)
        ones = keras.ops.ones_like(height)
        count = keras.ops.cast(ones, "int32")
        padding = keras.ops.zeros_like(whole)
        return {
            "boxes": keras.ops.stack([whole, left, padding], axis=1),
            "labels": keras.ops.stack([2 * count, 0 * count, -count], axis=1),
            "scores": keras.ops.stack([0.75 * ones, 0.5 * ones, zero], axis=1),
            "num_detections": 2 * count,
        }


@pytest.fixture(scope="session")
def detector():
    """A tiny detector that finds boxes in any photo."""
    return tiny_detector(**CLASSES)


@pytest.fixture(scope="session")
def exported(detector, tmp_path_factory):
    """pathlib.Path of the detector's version 1, with every signature."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return export_saved_model(detector, folder, with_xyxy=True, max_photos=MAX_PHOTOS)


@pytest.fixture(scope="session")
def exported_frozen(detector, tmp_path_factory):
    """pathlib.Path of version 7 of the detector, its weights constants."""
    folder = tmp_path_factory.mktemp("frozen") / "tiny"
    return export_saved_model(detector, folder, 7, frozen=True)


@pytest.fixture(scope="session")
def loaded(exported):
    """The SavedModel of `exported`."""
    import tensorflow as tf

    return tf.saved_model.load(str(exported))


@pytest.fixture(scope="session")
def ask(loaded):
    """Returns the outputs of a signature, dict of arrays, for a list of items."""
    import tensorflow as tf

    def ask(items, signature="serving_default"):
        function = loaded.signatures[signature]
        dtype = function.structured_input_signature[1]["inputs"].dtype
        items = np.asarray(items, object) if dtype == tf.string else items
        outputs = function(inputs=tf.constant(items, dtype))
        return {name: value.numpy() for name, value in outputs.items()}

    return ask
