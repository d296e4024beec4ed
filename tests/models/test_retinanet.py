"""RetinaNet: its parts, detects, is trained, folded and fine-tuned."""

import keras
import numpy as np
import pytest
from models.tiny import (
    give_statistics,
    normed_backbone,
    tiny_backbone,
    two_rectangles,
)
from models.tiny_one_stage import tiny_retinanet
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays
from skimage import data

import keras_fpn
from keras_fpn.layers import (
    DenseHead,
    FeaturePyramid,
    MultiLevelAnchors,
    SubsampledLevel,
    fapn,
)
from keras_fpn.metrics import proposing
from keras_fpn.models import (
    MovingPositives,
    RetinaNet,
    fold_batch_norms,
    retinanet_fpn,
)
from keras_fpn.report.anchor_coverage import level_strides
from keras_fpn.training.transfer import with_classes

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_retinanet(loss_divisor=MovingPositives(name="loss_divisor"))


def test_the_layers_of_the_graph_are_the_papers(model):
    names = [layer.name for layer in model.layers[2:]]
    assert names == [
        "normalize",
        "tiny",
        "neck",
        "coarse_level",
        "dense_head",
        "anchors",
        "dense_predictor",
        "detections",
    ]
    assert list(model.trunk.output["dense_pyramid"]) == ["P3", "P4", "P5", "P6", "P7"]
    assert list(model.trunk.output["bottom_up"]) == ["C3", "C4", "C5"]
    assert model.loss_names == ("class_loss", "box_loss")
    assert (model.score_threshold, model.nms_threshold) == (0.05, 0.5)


def test_default_anchors_are_torchvisions(model):
    assert model.anchors.sizes == {
        "P3": (32, 40, 50),
        "P4": (64, 80, 101),
        "P5": (128, 161, 203),
        "P6": (256, 322, 406),
        "P7": (512, 645, 812),
    }
    assert model.anchors.ratios == (0.5, 1.0, 2.0)
    assert model.dense_predictor.num_anchors == 9
    assert model.coarse_level.convolutions["P6"].kernel.shape[2] == 8  # from C5
    assert level_strides(model) == {f"P{level}": 2**level for level in range(3, 8)}


@pytest.mark.ci
def test_it_detects_within_limits(model):
    [found] = model.detect(PHOTO)
    assert len(found["boxes"]) == 20
    assert set(found["labels"]) <= {0, 1, 2}
    assert (np.diff(found["scores"]) <= 0).all()
    [few] = model.detect(PHOTO, max_detections=3)
    assert_array_equal(few["boxes"], found["boxes"][:3])
    middle = float(found["scores"][5])
    [above] = model.detect(PHOTO, score_threshold=middle)
    assert_array_equal(above["scores"], found["scores"][found["scores"] > middle])
    [more] = model.detect(PHOTO, max_detections=50)
    assert len(more["boxes"]) == 50


def test_the_state_of_its_losses_is_saved(model, tmp_path):
    model.loss_divisor.average.assign(123.5)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    other = tiny_retinanet(loss_divisor=MovingPositives(name="loss_divisor"))
    other.load_weights(tmp_path / "model.weights.h5")
    for again in (other, retinanet_fpn(weights=tmp_path / "model.keras")):
        assert arrays(again.loss_divisor.average) == 123.5


def test_other_classes_keep_their_columns_of_every_anchor(model):
    new = with_classes(model, ["owl", "cat"], [5, 9])
    assert type(new) is RetinaNet
    assert new.category_ids == [5, 9]
    bias = arrays(new.dense_predictor.class_logits.kernel).reshape(-1, 9, 2)
    old = arrays(model.dense_predictor.class_logits.kernel).reshape(-1, 9, 3)
    assert_array_equal(bias[:, :, 1], old[:, :, 0])
    assert np.abs(bias[:, :, 0] - old[:, :, 1]).max() > 0
    assert_array_equal(
        arrays(new.dense_predictor.box_deltas.kernel),
        arrays(model.dense_predictor.box_deltas.kernel),
    )
    assert_allclose(arrays(new.dense_predictor.class_logits.bias), -4.59512, rtol=1e-5)


@pytest.mark.ci
def test_it_learns():
    keras.utils.set_random_seed(0)
    model = retinanet_fpn(
        tiny_backbone(("C3", "C4")),
        num_classes=2,
        neck=FeaturePyramid(16, name="neck"),
        coarse_level=SubsampledLevel(name="coarse_level"),
        dense_head=DenseHead(1, name="dense_head"),
    )
    x, y = two_rectangles()
    model.compile(keras.optimizers.Adam(0.005))
    history = model.fit(x, y, batch_size=2, epochs=80, verbose=0).history
    assert set(history) == {"loss", "class_loss", "box_loss"}
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    found = model.predict_on_batch(x)
    assert_array_equal(found["labels"][:, 0], [0, 1])
    assert_allclose(found["boxes"][:, 0], y["boxes"][:, 0], atol=12)


@pytest.mark.ci
def test_folding_keeps_what_it_finds():
    model = tiny_retinanet(
        backbone=normed_backbone(), coarse_level=SubsampledLevel(name="coarse_level")
    )
    give_statistics(model)
    folded = fold_batch_norms(model)
    assert type(folded) is RetinaNet
    [expected], [found] = model.detect(PHOTO), folded.detect(PHOTO)
    assert len(expected["scores"]) > 5
    assert_allclose(found["scores"], expected["scores"], atol=1e-3)


@pytest.mark.parametrize("backbone", [("C3", "C4"), ("C2", "C3", "C4"), ("C4", "C5")])
def test_any_levels_from_c3_on_will_do(backbone):
    model = retinanet_fpn(tiny_backbone(backbone), num_classes=2)
    kept = [name for name in backbone if name != "C2"]
    first, last = int(kept[0][1]), int(kept[-1][1])
    names = [f"P{level}" for level in range(first, last + 3)]
    assert list(model.anchors.sizes) == names
    assert model.anchors.sizes[names[0]][0] == 4 * 2**first


@pytest.mark.ci
def test_other_parts():
    model = tiny_retinanet(
        backbone=tiny_backbone(("C3", "C4")),
        neck=fapn(16, name="neck"),
        coarse_level=SubsampledLevel(name="coarse_level"),
        dense_head=None,
    )
    assert list(model.anchors.sizes) == ["P3", "P4", "P5"]
    assert model.parts.dense.coarse_source == "pyramid"
    assert len(model.detect(PHOTO)[0]["boxes"]) > 0


def test_maps_of_a_mobilenet_have_anchors_of_their_strides():
    model = retinanet_fpn("mobilenet_v3_large", num_classes=2)
    smallest = {name: sizes[0] for name, sizes in model.anchors.sizes.items()}
    assert smallest == {"P5": 128, "P6": 128, "P7": 256, "P8": 512}


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"from C3 on; received .*\['C2'\]"):
        retinanet_fpn(tiny_backbone(("C2",)))
    with pytest.raises(ValueError, match=r"there are, 3; received num_anchors=9"):
        tiny_retinanet(
            anchors=MultiLevelAnchors({f"P{n}": (32,) for n in range(3, 8)}),
            dense_predictor=keras_fpn.layers.DensePredictor(3),
        )
    with pytest.raises(ValueError, match=r"received 'rpn_head'. Near names"):
        tiny_retinanet(rpn_head=keras.layers.Dense(1))
    with pytest.raises(ValueError, match=r"of RetinaNet .*'resnet50'.*'resnet18'"):
        retinanet_fpn("resnet18", weights="coco")


def test_it_has_no_proposals(model):
    with pytest.raises(ValueError, match="received a RetinaNet"):
        proposing(model)
