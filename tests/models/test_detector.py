"""What a user holds: detect, predict and export."""

import keras
import numpy as np
import pytest
from models.tiny import two_levels
from PIL import Image
from skimage import data

from keras_fpn.layers import Detections
from keras_fpn.models import FasterRCNN


@pytest.fixture(scope="module")
def model():
    return two_levels(class_names=["cup", "spoon", "table"], category_ids=[7, 3, 90])


@pytest.fixture(scope="module")
def photo():
    return data.coffee()  # uint8 (400, 600, 3)


def test_detections_lie_in_the_photo_best_first(model, photo):
    [found] = model.detect(photo)
    boxes, scores = found["boxes"], found["scores"]
    assert 0 < len(boxes) <= 20
    assert boxes.dtype == scores.dtype == np.float32
    assert found["labels"].dtype == np.int32
    assert set(found["labels"]) <= {0, 1, 2}
    assert (np.diff(scores) <= 0).all()
    assert (scores > 0.2).all()
    assert (boxes >= 0).all()
    assert (boxes <= np.array([600, 400, 600, 400]) + 1e-3).all()
    assert boxes[:, 2].max() > 160  # the photo's pixels, not the resized ones


def test_a_photo_alone_gives_the_same_as_in_a_list_of_photos(model, photo):
    other = photo[:300, :200]
    alone = [model.detect(photo)[0], model.detect(other)[0]]
    listed = model.detect([photo, other])
    for one, two in zip(alone, listed, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


def test_photos_of_one_size_do_not_change_each_other_in_a_batch(model, photo):
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    alone = model.detect([photo, mirrored])
    batched = model.detect([photo, mirrored], batch_size=2)
    for one, two in zip(alone, batched, strict=True):
        np.testing.assert_allclose(one["boxes"], two["boxes"], atol=1e-2)
        np.testing.assert_array_equal(one["labels"], two["labels"])


def test_a_looser_threshold_adds_detections_below_the_own_one(model, photo):
    [own] = model.detect(photo)
    [looser] = model.detect(photo, score_threshold=0.01, max_detections=200)
    assert len(looser["scores"]) > len(own["scores"])
    assert looser["scores"].min() < 0.2
    count = int(np.sum(looser["scores"] > 0.2))
    np.testing.assert_allclose(looser["boxes"][:count][:20], own["boxes"], atol=1e-3)


@keras.saving.register_keras_serializable(package="tests")
class DetectionsOfOneClass(Detections):
    """Drops all classes but one."""

    def __init__(self, label=0, **arguments):
        super().__init__(**arguments)
        self.label = label

    def call(self, class_logits, box_deltas, rois, image_sizes, **limits):
        labels = keras.ops.arange(class_logits.shape[-1])
        background = labels == class_logits.shape[-1] - 1
        kept = keras.ops.logical_or(labels == self.label, background)
        class_logits = keras.ops.where(kept, class_logits, -1e3)
        return super().call(class_logits, box_deltas, rois, image_sizes, **limits)

    def get_config(self):
        return {**super().get_config(), "label": self.label}


@pytest.mark.parametrize("limit", [{"score_threshold": 0.0}, {"max_detections": 90}])
def test_looser_limits_keep_the_kind_of_detections_and_its_other_arguments(
    photo, limit
):
    own = DetectionsOfOneClass(
        label=1, score_threshold=0.1, nms_threshold=1.0, max_detections=60
    )
    [found] = two_levels(detections=own).detect(photo, **limit)
    assert set(found["labels"]) == {1}
    # Of the 50 proposals each is found once: an IoU of 1.0 suppresses nothing.
    assert 45 < len(found["scores"]) <= 50


@keras.saving.register_keras_serializable(package="tests")
class DetectionsWithBias(Detections):
    """Adds a trained number to each class's logit."""

    def build(self, class_logits_shape, *_):
        self.bias = self.add_weight(shape=class_logits_shape[-1:], initializer="zeros")

    def call(self, class_logits, *others, **limits):
        return super().call(class_logits + self.bias, *others, **limits)


def test_looser_limits_keep_the_weights_of_detections_as_they_are_now(photo):
    own = DetectionsWithBias(score_threshold=0.9, name="detections")
    model = two_levels(detections=own)
    for label in (1, 2):  # the second time the looser graph is there already
        bias = np.full(4, -1e3)  # 3 classes and the background
        bias[[label, 3]] = 0.0
        own.bias.assign(bias)
        [found] = model.detect(photo, score_threshold=0.1)
        assert set(found["labels"]) == {label}
        assert found["scores"].min() < 0.9


def test_stricter_limits_keep_the_best(model, photo):
    [own] = model.detect(photo)
    middle = float(own["scores"][3])
    [stricter] = model.detect(photo, score_threshold=middle)
    np.testing.assert_array_equal(stricter["boxes"], own["boxes"][:3])  # above, not at
    [fewer] = model.detect(photo, max_detections=2)
    np.testing.assert_array_equal(fewer["boxes"], own["boxes"][:2])


def test_min_size_changes_what_the_model_sees(model, photo):
    assert not np.array_equal(
        model.detect(photo)[0]["boxes"], model.detect(photo, min_size=64)[0]["boxes"]
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_paths_and_pil_images_give_what_their_pixels_give(model, photo, mode, tmp_path):
    image = Image.fromarray(photo).convert(mode)
    path = tmp_path / "photo.png"
    image.save(path)
    [of_pixels] = model.detect(np.asarray(image))
    for source in (path, str(path), image):
        [found] = model.detect(source)
        np.testing.assert_array_equal(found["boxes"], of_pixels["boxes"])


def test_exif_rotation_is_applied(model, photo, tmp_path):
    turned = Image.fromarray(np.rot90(photo))  # counter-clockwise on disk
    exif = turned.getexif()
    exif[0x0112] = 6  # "turn clockwise to view"
    turned.save(tmp_path / "turned.png", exif=exif)
    [found] = model.detect(tmp_path / "turned.png")
    np.testing.assert_array_equal(found["boxes"], model.detect(photo)[0]["boxes"])


@pytest.mark.parametrize("shape", [(1, 1, 3), (1000, 7, 3)])
def test_odd_photos_work(model, shape):
    generator = np.random.default_rng(0)
    [found] = model.detect(generator.integers(0, 256, shape, dtype="uint8"))
    assert (found["boxes"][:, 2] <= shape[1] + 1e-3).all()


def test_a_photo_that_would_shrink_to_nothing_is_refused(model):
    with pytest.raises(ValueError, match=r"\(20000, 10\)"):
        model.detect(np.zeros((20000, 10, 3), "uint8"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score_threshold": 1.5}, "score_threshold=1.5"),
        ({"max_detections": 0}, "max_detections=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 1.5}, "batch_size=1.5"),
        ({"min_size": 0}, "min_size=0"),
    ],
)
def test_arguments_out_of_range_are_refused(model, photo, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.detect(photo, **arguments)


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (np.zeros((4, 4, 3), "uint16"), "uint16"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.zeros((3, 40, 40), "uint8"), r"\(3, 40, 40\)"),
        (np.zeros((0, 4, 3), "uint8"), r"\(0, 4, 3\)"),
        ("nowhere.jpg", "nowhere.jpg"),
    ],
)
def test_what_is_no_photo_is_refused_with_the_value(model, photo, message):
    with pytest.raises(ValueError, match=message):
        model.detect(photo)


def test_no_photos_give_no_results(model):
    assert model.detect([]) == []


def test_predict_returns_padded_arrays(model, photo):
    inputs, _ = model.preprocessing.prepare([photo, photo[:, ::-1]])
    outputs = model.predict(inputs, verbose=0)
    assert outputs["boxes"].shape == (2, 20, 4)
    assert outputs["num_detections"].shape == (2,)
    count = outputs["num_detections"][0]
    assert (outputs["labels"][0, count:] == -1).all()
    assert (outputs["scores"][0, :count] > 0.2).all()


def test_padding_pixels_are_not_seen(model, photo):
    inputs, [(height, width)] = model.preprocessing.prepare([photo])
    assert height < inputs["images"].shape[1] or width < inputs["images"].shape[2]
    scribbled = {name: value.copy() for name, value in inputs.items()}
    scribbled["images"][:, height:] = 255
    scribbled["images"][:, :, width:] = 255
    clean, dirty = (model.predict(x, verbose=0) for x in (inputs, scribbled))
    np.testing.assert_array_equal(clean["boxes"], dirty["boxes"])


def test_the_seed_is_saved_and_is_0_in_a_file_without_one(model, tmp_path):
    seeded = type(model).from_config({**model.get_config(), "seed": 7})
    assert seeded.seed == 7
    seeded.save(tmp_path / "seeded.keras")
    assert keras.models.load_model(tmp_path / "seeded.keras").seed == 7
    config = model.get_config()
    assert config.pop("seed") == 0
    assert type(model).from_config(config).seed == 0


def test_changed_weights_change_what_is_detected(photo):
    model = two_levels()
    [before] = model.detect(photo)
    kernel = model.box_predictor.class_logits.kernel
    kernel.assign(-kernel)
    [after] = model.detect(photo)
    assert not np.array_equal(before["scores"], after["scores"])


def test_mixed_precision_keeps_boxes_in_float32(photo):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = two_levels()
    finally:
        keras.config.set_dtype_policy("float32")
    assert str(model.get_layer("neck").compute_dtype) == "bfloat16"
    [found] = model.detect(photo)
    assert found["boxes"].dtype == np.float32
    assert len(found["boxes"]) > 0
    # Corners in bfloat16 would be multiples of 0.5 or more at this size.
    assert (found["boxes"] % 0.25 != 0).any()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("onnx", "onnxruntime cannot run the file because of its non-maximum"),
        ("litert", "LiteRT cannot run some operations"),
        ("openvino", "it has not been tried"),
        ("torch", "this package does not support"),
        ("pdf", "there is no such format"),
        (None, "there is no such format"),
    ],
)
def test_formats_that_do_not_work_are_refused_with_the_reason(
    model, tmp_path, name, reason
):
    message = rf"'tf_saved_model'; received format={name!r}: .*{reason}"
    with pytest.raises(ValueError, match=message):
        model.export(tmp_path / "m", format=name)
    with pytest.raises(ValueError, match=message):
        model.export(tmp_path / "m", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tensorflow_only
def test_a_saved_model_finds_what_the_model_finds(model, tmp_path):
    import tensorflow as tf

    with pytest.raises(
        ValueError, match=r"m\.onnx', a name of format 'onnx': .*onnxru"
    ):
        model.export(tmp_path / "m.onnx")
    model.export(tmp_path / "m", verbose=False)
    images = np.random.default_rng(0).uniform(0, 255, (2, 96, 128, 3))
    x = {
        "images": images.astype(np.float32),
        "image_sizes": np.array([[96, 128], [80, 100]], np.float32),
    }
    loaded = tf.saved_model.load(str(tmp_path / "m"))  # holds the variables
    found = loaded.serve(x)
    expected = model.predict_on_batch(x)
    assert set(found) == set(expected)
    assert (expected["num_detections"] > 0).all()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-3)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="of the others")
def test_other_backends_export_nothing(model, tmp_path):
    with pytest.raises(ValueError, match=r"KERAS_BACKEND=jax.*model\.save"):
        model.export(tmp_path / "m")


def test_inputs_are_padded_images_and_their_heights_and_widths(model):
    shapes = {name: tensor.shape for name, tensor in model.input.items()}
    assert shapes == {"images": (None, None, None, 3), "image_sizes": (None, 2)}


class TwoBranches(FasterRCNN):
    """Detects by two branches, whose outputs it does not join itself."""

    @staticmethod
    def results(parts, stages, **limits):
        found = parts.box.outputs(stages, **limits)
        labels = {"labels": found.pop("labels")}
        return [found, labels]


class SameOutputs(FasterRCNN):
    @staticmethod
    def results(parts, stages, **limits):
        return [parts.box.outputs(stages, **limits)] * 2


def rebuilt(model, kind):
    arguments = model.preprocessing, model.class_names, model.category_ids
    return kind(model.parts, *arguments)


def test_outputs_of_several_branches_are_joined(model, photo):
    found, expected = rebuilt(model, TwoBranches).detect(photo), model.detect(photo)
    assert set(found[0]) == set(expected[0])
    for name, value in expected[0].items():
        np.testing.assert_array_equal(found[0][name], value)


def test_two_outputs_of_one_name_raise_when_the_model_is_built(model):
    both = r"two outputs 'boxes': <KerasTensor .*> and <KerasTensor"
    with pytest.raises(ValueError, match=both):
        rebuilt(model, SameOutputs)
