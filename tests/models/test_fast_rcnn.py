"""Fast R-CNN: the second stage of Faster R-CNN, on proposals that are given."""

import keras
import numpy as np
import pytest
from models.fast import second_stage, tiny_fast_rcnn
from models.tiny import tiny_backbone, two_levels
from models.truths import truth_of
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays, compiled
from skimage import data

from keras_fpn.layers import FeaturePyramid, PyramidRoIAlign, RPNHead, TwoFCBoxHead
from keras_fpn.metrics import proposing
from keras_fpn.models import fast_rcnn_fpn, rpn_fpn
from keras_fpn.models.compiled import compiled_call
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training.transfer import with_classes
from keras_fpn.weights import fill_with_formula

PHOTO, OTHER = data.coffee(), data.chelsea()


@pytest.fixture(scope="module")
def faster():
    return two_levels()


@pytest.fixture(scope="module")
def fast(faster):
    return second_stage(faster)


@pytest.fixture(scope="module")
def given(faster):
    """The proposals of the first stage for a photo, in its pixels."""
    return proposing(faster)(PHOTO)[0]


def both(faster, fast, change=lambda rois: rois):
    """Detections and losses of both, with the first stage's (changed) proposals."""
    inputs, _ = faster.preprocessing.prepare([PHOTO, OTHER])
    truth = truth_of([[[20, 16, 84, 80]], [[40, 8, 72, 60]]], [[0], [2]])

    def outcome(model, inputs, stages):
        sums = {}
        for one, count in model.stage_losses(stages, truth, 3, 5, training=False):
            sums |= {name: (value, count) for name, value in one.items()}
        return model(inputs, training=False), sums

    def run(images, image_sizes):
        inputs = {"images": images, "image_sizes": image_sizes}
        stages = faster.trunk(inputs, training=False)
        more = {**inputs, "proposals": change(stages["rois"])}
        return (
            outcome(faster, inputs, stages),
            outcome(fast, more, fast.trunk(more, training=False)),
        )

    given = inputs["images"], inputs["image_sizes"]
    if keras.backend.backend() == "jax":  # eagerly it compiles each operation
        return compiled(run, *given)
    return arrays(run(*map(keras.ops.convert_to_tensor, given)))


def test_on_its_proposals_it_is_faster_rcnn_to_the_bit(faster, fast):
    (expected, losses), (found, own) = both(faster, fast)
    assert (expected["num_detections"] > 0).all()
    for name, value in expected.items():
        assert_array_equal(found[name], value, err_msg=name)
    assert set(own) == {"class_loss", "box_loss"}
    for name, value in own.items():
        assert value[0] > 0
        assert_array_equal(value, losses[name])


def test_on_other_proposals_it_is_not(faster, fast):
    (expected, losses), (found, own) = both(faster, fast, lambda rois: rois * 0.75)
    assert not np.array_equal(found["boxes"], expected["boxes"])
    assert own["class_loss"][0] != losses["class_loss"][0]


def test_it_shares_every_layer_and_has_no_others(faster, fast):
    assert fast.neck is faster.neck
    assert fast.box_head is faster.box_head
    assert {*fast.parts.layers()} == {
        *("backbone", "neck", "roi_align", "box_head", "box_predictor", "detections")
    }
    own = {id(weight) for weight in fast.trainable_variables}
    assert own < {id(weight) for weight in faster.trainable_variables}


def test_the_graph_reads_as_the_figure():
    assert [layer.name for layer in tiny_fast_rcnn().layers] == [
        "images",
        "image_sizes",
        "normalize",
        "tiny",
        "neck",
        "proposals",
        "roi_align",
        "box_head",
        "box_predictor",
        "detections",
    ]


def test_detect_takes_proposals_in_each_photos_pixels(faster, fast, given):
    [expected] = faster.detect(PHOTO)
    [found] = fast.detect(PHOTO, proposals=given)
    assert len(found["boxes"]) == len(expected["boxes"]) > 0
    assert_allclose(found["boxes"], expected["boxes"], atol=0.05)
    assert_allclose(found["scores"], expected["scores"], atol=1e-3)
    [few] = fast.detect([PHOTO], max_detections=2, proposals=[given])
    assert_allclose(few["boxes"], found["boxes"][:2])


def test_photos_of_a_batch_have_their_own_proposals(faster, fast, given):
    other = proposing(faster)(OTHER)[0]
    alone = fast.detect([PHOTO, OTHER], proposals=[given, other[:3]])
    together = fast.detect([PHOTO, OTHER], proposals=[given, other[:3]], batch_size=2)
    for one, same in zip(alone, together, strict=True):
        assert_allclose(one["boxes"], same["boxes"], atol=0.05)
    swapped = fast.detect([PHOTO, OTHER], proposals=[other, given[:3] / 4])
    assert len(swapped[1]["boxes"]) != len(alone[1]["boxes"]) or not np.allclose(
        swapped[1]["boxes"], alone[1]["boxes"]
    )


def test_views_of_a_photo_have_its_proposals(fast, given):
    [plain] = fast.detect(PHOTO, proposals=given)
    [same] = fast.detect(PHOTO, proposals=given, scales=(1,))
    assert_allclose(same["boxes"], plain["boxes"], atol=1e-3)
    mirror = np.ascontiguousarray(PHOTO[:, ::-1])
    flipped = np.stack([600 - given[:, 2], given[:, 1], 600 - given[:, 0], given[:, 3]])
    [found] = fast.detect([PHOTO], proposals=[given], flip=True)
    [other] = fast.detect([mirror], proposals=[flipped.T], flip=True)
    assert len(found["boxes"]) == len(other["boxes"]) > 0
    assert_allclose(found["scores"], other["scores"], atol=1e-3)
    assert_allclose(found["boxes"][:, 0], 600 - other["boxes"][:, 2], atol=0.1)
    wrong = [given, [[0, 0, 700, 10]]]
    with pytest.raises(ValueError, match=r"Photo 1: .* the photo, 600x400 pixels"):
        fast.detect([PHOTO, PHOTO], proposals=wrong, flip=True)


def test_padding_is_never_detected(fast):
    [found] = fast.detect(PHOTO, score_threshold=0.0, proposals=np.zeros((0, 4)))
    assert found["boxes"].shape == (0, 4)
    inputs, _ = fast.preprocessing.prepare([PHOTO])
    box = np.array([[[30, 20, 90, 80]]], "float32")
    results = []
    for rows in (0, 1, 7):  # of padding
        given = np.pad(box, ((0, 0), (0, rows), (0, 0)))
        results.append(fast.found({**inputs, "proposals": given}, 0.0))
    for more in results[1:]:
        for name, value in results[0].items():
            assert_allclose(more[name], value, atol=1e-4)
    nothing = fast.found({**inputs, "proposals": np.zeros((1, 4, 4), "float32")}, 0.0)
    assert nothing["num_detections"].tolist() == [0]
    assert not nothing["boxes"].any()


def test_padding_is_never_sampled():
    box = tiny_fast_rcnn().parts.box
    truth = truth_of([[[20, 16, 84, 80]]], [[0]])
    proposals = np.array([[[10, 10, 30, 30], [0, 0, 0, 0], [0, 0, 0, 0]]], "float32")
    sampled = box.sampled({"rois": proposals}, truth, 0, 0)
    boxes, labels = arrays(sampled.boxes), arrays(sampled.labels)
    # The object and the one proposal.
    assert_array_equal(boxes[labels == 1], [[20, 16, 84, 80]])
    assert_array_equal(boxes[labels == 0], [[10, 10, 30, 30]])
    sampled = box.sampled({"rois": proposals[:, 1:]}, truth, 0, 0)
    assert (arrays(sampled.labels) == 0).sum() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "A FastRCNN must be given proposals; received proposals=None"),
        ({"proposals": []}, "one array of proposals for each photo; received 0 for 1"),
        ({"proposals": [np.zeros((0, 4))] * 2}, "received 2 for 1 photos"),
        ({"proposals": [[[0, 0, 700, 10]]]}, "Photo 0: .* the photo, 600x400 pixels"),
        ({"proposals": [[[0, 0, np.nan, 10]]]}, "Photo 0: Proposals must be finite"),
        ({"proposals": [[[9, 0, 2, 10]]]}, "Photo 0: .* x1 <= x2"),
        ({"proposals": [[[0, 0, 2]]]}, r"boxes \(n, 4\), .* of shape \(1, 3\)"),
    ],
)
def test_missing_and_wrong_proposals_are_errors(fast, arguments, message):
    with pytest.raises(ValueError, match=message):
        fast.detect([PHOTO], **arguments)


def test_detectors_with_proposals_of_their_own_take_none(faster, given):
    with pytest.raises(ValueError, match=r"A FasterRCNN makes its own .* received 1"):
        faster.detect([PHOTO], proposals=[given])


def small(**arguments):
    """A Fast R-CNN with random weights from its builder."""
    return fast_rcnn_fpn(
        **{
            "backbone": tiny_backbone(("C3", "C4")),
            "preprocessing": Preprocessing(96, 160),
            "neck": FeaturePyramid(16, name="neck"),
            "box_head": TwoFCBoxHead(32, name="box_head"),
            "num_classes": 2,
            **arguments,
        }
    )


@pytest.mark.ci
def test_it_learns_a_scene_by_heart():
    keras.utils.set_random_seed(0)
    model = small()
    images = np.random.default_rng(0).uniform(0, 60, (2, 64, 96, 3)).astype("float32")
    boxes = np.array([[[20, 16, 72, 60]], [[40, 8, 72, 56]]], "float32")
    for image, [(x1, y1, x2, y2)], color in zip(
        images, boxes.astype(int), ((230, 120, 40), (20, 220, 180)), strict=True
    ):
        image[y1:y2, x1:x2] = color
    near = boxes + np.array([-6, 5, 4, -7], "float32")
    far = np.array([[[0, 0, 20, 20], [75, 30, 96, 64], [0, 0, 0, 0]]] * 2, "float32")
    x = {
        "images": images,
        "image_sizes": np.array([[64, 96]] * 2, "float32"),
        "proposals": np.concatenate([far, near], axis=1),
    }
    y = {"boxes": boxes, "labels": np.array([[0], [1]]), "image_ids": np.array([4, 9])}
    model.compile(keras.optimizers.Adam(0.005))
    history = model.fit(x, y, batch_size=2, epochs=30, verbose=0).history
    assert set(history) == {"loss", "class_loss", "box_loss"}
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    found = model.predict_on_batch(x)
    assert_array_equal(found["labels"][:, 0], [0, 1])
    assert (found["scores"][:, 0] > 0.8).all()
    assert_allclose(found["boxes"][:, 0], boxes[:, 0], atol=4)


def test_a_formula_fills_it_so_that_it_finds_boxes():
    model = small(num_classes=3)
    fill_with_formula(model)
    boxes = [[100, 50, 400, 350], [20, 20, 200, 200], [300, 100, 590, 390]]
    [found] = model.detect(PHOTO, score_threshold=0.3, proposals=boxes)
    assert len(found["boxes"]) > 1
    again = small(num_classes=3)
    fill_with_formula(again)
    for own, other in zip(again.get_weights(), model.get_weights(), strict=True):
        assert_array_equal(own, other)


def test_other_classes_keep_all_other_weights(fast):
    model = with_classes(fast, ["class 1", "new"], [5, 6])
    assert model.class_names == ["class 1", "new"]
    assert_array_equal(
        arrays(model.box_head.fc1.kernel), arrays(fast.box_head.fc1.kernel)
    )
    columns = arrays(fast.box_predictor.class_logits.kernel)[:, [1, 3]]
    own = arrays(model.box_predictor.class_logits.kernel)[:, [0, 2]]
    assert_array_equal(own, columns)


def test_half_precision_leaves_proposals_whole():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    inputs, _ = model.preprocessing.prepare([PHOTO])
    given = np.array([[[1.0, 2.0, 129.25, 95.0]]], "float32")  # 129 in bfloat16
    stages = compiled_call(model.trunk)({**inputs, "proposals": given})
    assert_array_equal(arrays(stages["proposals"]), given)
    found = model.found({**inputs, "proposals": given}, 0.0)
    assert found["num_detections"][0] > 0
    assert found["boxes"].dtype == np.float32


def test_its_coco_weights_are_for_another_backbone_and_it_has_no_first_stage():
    with pytest.raises(ValueError, match=r"of FastRCNN .*msra_resnet50.*'resnet50'"):
        fast_rcnn_fpn(weights="coco")
    with pytest.raises(ValueError, match=r"received 'rpn_head'. Near names"):
        small(rpn_head=RPNHead())


def test_with_an_rpns_backbone_and_neck_it_shares_their_features():
    rpn = rpn_fpn(tiny_backbone(("C3", "C4")), neck=FeaturePyramid(16, name="neck"))
    model = small(backbone=rpn.backbone, neck=rpn.neck)
    assert model.backbone is rpn.backbone
    assert model.neck is rpn.neck
    assert all(
        own is other
        for own, other in zip(model.backbone.weights, rpn.backbone.weights, strict=True)
    )
    shared = [*rpn.backbone.weights, *rpn.neck.weights]
    before = [arrays(weight) for weight in shared]
    x = {
        "images": np.full((1, 64, 64, 3), 90, "float32"),
        "image_sizes": np.array([[64, 64]], "float32"),
        "proposals": np.array([[[8, 8, 40, 40], [30, 30, 60, 60]]], "float32"),
    }
    y = {"boxes": np.array([[[10, 10, 40, 40]]]), "labels": np.array([[1]])}
    rpn.backbone.trainable = rpn.neck.trainable = False  # step 4 of the training
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(x, y, verbose=0)
    for weight, value in zip(shared, before, strict=True):
        assert_array_equal(arrays(weight), value)


def test_heads_per_level_are_an_rpns_part():
    # Lin et al., Sec. 4.1: heads may have weights of their own on each level.
    head = RPNHead(shared=False, name="rpn_head")
    neck = FeaturePyramid(16, name="neck")
    rpn = rpn_fpn(tiny_backbone(("C3", "C4")), neck=neck, rpn_head=head)
    levels = [name for name in head.towers if head.towers[name]]
    assert levels == ["P3", "P4", "P5"]
    kernels = {id(tower[0][0].kernel) for tower in head.towers.values()}
    assert len(kernels) == 3
    assert len(rpn.rpn_head.weights) == 3 * 6


def test_maps_of_another_stride_need_only_what_reads_them():
    tiny = tiny_backbone()
    # As in MobileNetV3, whose other parts are known.
    twice = keras.Model(tiny.input, {"C5": tiny.output["C5"], "C6": tiny.output["C5"]})
    neck = FeaturePyramid(16, name="neck")
    assert small(backbone=twice, neck=neck).roi_align.levels == ("P5",)
    assert set(rpn_fpn(twice, neck=neck).anchors.sizes) == {"P5", "P6", "P7"}
    shifted = {f"C{int(name[1]) + 1}": x for name, x in tiny.output.items()}
    backbone = keras.Model(tiny.input, {**shifted, "C2": tiny.output["C2"]})
    neck = FeaturePyramid(16, name="neck")
    with pytest.raises(ValueError, match=r"map C3 must have stride 8; .* roi_align"):
        small(backbone=backbone, neck=neck)
    align = PyramidRoIAlign(levels=("P2",), name="roi_align")
    assert small(backbone=backbone, neck=neck, roi_align=align).roi_align is align
    with pytest.raises(ValueError, match=r"The map C3 .* or pass anchors"):
        rpn_fpn(backbone, neck=neck)
