import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector

from keras_fpn.layers import FeaturePyramid
from keras_fpn.models import RPN, rpn_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training.transfer import kept_classes, resized, with_classes


@pytest.fixture(scope="module")
def source():
    return tiny_detector(class_names=["ant", "bee", "cow"], category_ids=[4, 6, 8])


def predictions(model):
    """Class logits (R, K + 1) and box deltas (R, K, 4) of the same hidden vectors."""
    hidden = np.random.default_rng(0).normal(size=(1, 5, 32)).astype("float32")
    found = model.box_predictor(hidden)
    return [keras.ops.convert_to_numpy(values)[0] for values in found]


def weights(part):
    return np.concatenate([w.ravel() for w in part.get_weights()])


def test_all_but_the_predictor_is_as_it_was(source):
    model = with_classes(source, ["dog", "elk"], [1, 2])
    assert model.class_names == ["dog", "elk"]
    assert model.category_ids == [1, 2]
    for name, part in source.parts.layers().items():
        if name != "box_predictor" and part.weights:
            own = model.parts.layers()[name]
            np.testing.assert_array_equal(weights(own), weights(part))
            assert own is not part
    assert int(model.training_step) == 0


def test_new_classes_get_a_new_predictor(source):
    keras.utils.set_random_seed(0)
    model = with_classes(source, ["dog", "elk", "fox"], [1, 2, 3])
    own, other = weights(model.box_predictor), weights(source.box_predictor)
    assert own.shape == other.shape
    assert abs(np.corrcoef(own, other)[0, 1]) < 0.2


def test_known_classes_keep_what_was_learnt_whatever_their_place(source):
    model = with_classes(source, ["cow", "dog", "ant"], [1, 2, 3])
    logits, deltas = predictions(model)
    expected_logits, expected_deltas = predictions(source)
    # cow, ant and the background, which are columns 2, 0 and 3 of the source.
    np.testing.assert_allclose(logits[:, [0, 2, 3]], expected_logits[:, [2, 0, 3]])
    np.testing.assert_allclose(deltas[:, [0, 2]], expected_deltas[:, [2, 0]])
    assert np.abs(logits[:, 1] - expected_logits[:, 1]).max() > 1e-3


def test_the_same_classes_keep_the_whole_predictor():
    names = ["N/A", "ant", "N/A"]  # some names of COCO occur twice
    source = tiny_detector(class_names=names)
    model = with_classes(source, names, [1, 2, 3])
    for own, expected in zip(predictions(model), predictions(source), strict=True):
        np.testing.assert_array_equal(own, expected)


def test_which_classes_are_known_is_told_by_their_names(source):
    assert kept_classes(source, ["cow", "Ant", "dog"]) == ["cow"]


def test_what_comes_out_is_saved_and_loaded(source, tmp_path):
    preprocessing = Preprocessing(64, 96)
    model = with_classes(source, ["cow", "dog"], [1, 2], preprocessing)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    own = source.preprocessing  # its pixels are kept, because its weights are
    assert loaded.preprocessing == preprocessing.completed(own.mean, own.std)
    assert loaded.class_names == ["cow", "dog"]
    for own, expected in zip(predictions(loaded), predictions(model), strict=True):
        np.testing.assert_array_equal(own, expected)


def test_a_class_agnostic_detector_keeps_its_one_class():
    source = rpn_fpn(tiny_backbone(), neck=FeaturePyramid(8, name="neck"))
    model = with_classes(source, ["ant", "bee"], [1, 2])
    assert (model.class_names, model.category_ids) == (["object"], [1])
    for own, other in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    with pytest.raises(ValueError, match=r"one class.*received class_names=\['a', 'b'"):
        RPN(source.parts, source.preprocessing, ["a", "b"], [1, 2])


@pytest.mark.parametrize(
    ("asked", "sizes"),
    [
        ((None, None), (800, 1333)),
        ((480, None), (480, 800)),  # 1333 * 480 / 800
        ((None, 1000), (800, 1000)),
        ((400, 500), (400, 500)),
    ],
)
def test_sizes_that_are_not_asked_for_follow(asked, sizes):
    own = Preprocessing(mean=(0.5,) * 3)
    changed = resized(own, *asked)
    assert (changed.min_size, changed.max_size) == sizes
    assert changed.mean == own.mean


def test_how_the_source_was_trained_has_no_part_in_it():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        source = tiny_detector(None, class_names=["ant"], category_ids=[1])
    finally:
        keras.config.set_dtype_policy("float32")
    source.backbone.trainable = False
    source.neck.trainable = False
    assert source.box_head.compute_dtype == "bfloat16"
    model = with_classes(source, ["bee"], [1])
    layers = [layer for layer in model._flatten_layers() if layer.weights]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    assert model.backbone.trainable_weights
    assert len(model.trainable_weights) == len(model.weights) - 1  # except the step
    np.testing.assert_array_equal(weights(model.neck), weights(source.neck))


def test_norms_with_fixed_statistics_keep_them():
    images = keras.Input((None, None, 3))
    x, maps = images, {}
    for level in ("C2", "C3", "C4", "C5"):
        x = keras.layers.Conv2D(8, 3, 4 if level == "C2" else 2, "same")(x)
        norm = keras.layers.BatchNormalization(name=f"{level}_norm", trainable=False)
        maps[level] = x = norm(x)
    source = tiny_detector(2, backbone=keras.Model(images, maps, name="backbone"))
    source.backbone.layers[1].trainable = False
    model = with_classes(source, ["bee"], [1])
    trainable = {layer.name: layer.trainable for layer in model.backbone.layers[1:]}
    assert [name for name in trainable if not trainable[name]] == [
        f"{level}_norm" for level in ("C2", "C3", "C4", "C5")
    ]
