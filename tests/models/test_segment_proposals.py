"""Segmentation proposals: learn, detect and are measured."""

import json

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone
from models.tiny_segments import tiny_segments
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from pycocotools import mask as coco_mask
from skimage import data

from keras_fpn.backbones import resnet18
from keras_fpn.cli import main
from keras_fpn.data import Dataset, Loader, Objects, Photo, open_dataset
from keras_fpn.data.scenes import write_scenes
from keras_fpn.layers import (
    FeaturePyramid,
    SegmentHead,
    SegmentWindows,
    TopSegments,
)
from keras_fpn.metrics import CocoEvaluation, evaluate_photos
from keras_fpn.models import SegmentProposals, segment_proposals_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import TrainingPlan, prepare_training

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_segments()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, 4, seed=1, size=(96, 96), objects=(1, 3))
    return open_dataset(folder)


def test_the_paper_has_128_channels_two_heads_of_512_and_1000_proposals():
    parts = segment_proposals_fpn(tiny_backbone()).parts
    assert parts.neck.channels == 128
    head, windows = parts.segment.segment_head, parts.segment.segment_windows
    assert (head.kernel_sizes, head.channels, head.mask_size) == ((5, 7), 512, 14)
    assert (windows.cells, windows.padding) == (8, 1.25)
    assert_allclose(windows.scales, [1, 2**0.5])
    assert parts.segment.top_segments.max_detections == 1000


def test_masks_of_a_photo_come_in_its_own_pixels_in_any_form(model):
    [found] = model.detect(PHOTO)
    count = len(found["scores"])
    assert 5 < count <= 40
    assert (np.diff(found["scores"]) <= 0).all()
    assert set(found) == {"boxes", "labels", "scores", "masks"}
    assert all(runs["size"] == [400, 600] for runs in found["masks"])
    [full] = model.detect(PHOTO, masks="full")
    assert full["masks"].shape == (count, 400, 600)
    decoded = np.stack([coco_mask.decode(runs) for runs in found["masks"]])
    assert_array_equal(full["masks"], decoded)
    assert decoded.any(axis=(1, 2)).sum() > 2
    [crops] = model.detect(PHOTO, masks="crops", max_detections=3)
    assert crops["masks"].shape == (3, 14, 14)
    assert crops["mask_windows"].shape == (3, 4)
    with pytest.raises(ValueError, match=r"received masks='polygons'"):
        model.detect(PHOTO, masks="polygons")


def test_views_of_several_sizes_and_the_mirrored_photo_are_one_list(model):
    [plain] = model.detect(PHOTO, masks="full")
    [found] = model.detect(PHOTO, masks="full", flip=True, max_detections=80)
    assert len(found["scores"]) == 80
    assert (np.diff(found["scores"]) <= 0).all()
    mirrored = model.detect(np.ascontiguousarray(PHOTO[:, ::-1]), masks="full")[0]
    expected = {*map(bytes, plain["masks"]), *map(bytes, mirrored["masks"][..., ::-1])}
    # Mirrored windows end half a rounding elsewhere: a few pixels differ.
    same = [bytes(mask) in expected for mask in found["masks"]]
    assert np.mean(same) > 0.5


def test_boxes_are_around_the_masks_to_within_a_cell(model):
    [found] = model.detect(PHOTO, masks="full")
    [crops] = model.detect(PHOTO, masks="crops")
    cells = (crops["mask_windows"][:, 2:] - crops["mask_windows"][:, :2]) / 14
    for mask, box, cell in zip(found["masks"], found["boxes"], cells, strict=True):
        rows, columns = np.nonzero(mask)
        if len(rows):
            extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert (np.abs(extent - box) <= np.tile(cell, 2) + 1).all()


def test_other_rows_of_table_6_are_other_parts():
    single = tiny_segments(
        segment_head=SegmentHead((7,), 8, mask_size=28, name="segment_head"),
        segment_windows=SegmentWindows(scales=(2**0.5,), name="segment_windows"),
    )
    [crops] = single.detect(PHOTO, masks="crops")
    assert crops["masks"].shape[1:] == (28, 28)


@pytest.mark.ci
def test_the_recall_of_masks_is_logged_with_that_of_boxes(scenes):
    model = tiny_segments(
        segment_windows=SegmentWindows(2.0, name="segment_windows"),
        top_segments=TopSegments(0.0, 1000, name="top_segments"),
    )
    inner = np.full((14, 14), -2.0)
    inner[2:12, 2:12] = 2.0  # all masks are squares in the middle of their windows
    for _, _, mask in model.segment_head.predictors:
        mask.kernel.assign(mask.kernel * 0)
        mask.bias.assign(inner.ravel())
    callback = CocoEvaluation(Loader(scenes, model.preprocessing, 1))
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    expected = evaluate_photos(model, scenes)
    assert expected.metrics is None
    assert logs == pytest.approx(
        {f"val_{name}": v for name, v in expected.proposals.values.items()}
        | {f"val_mask_{name}": v for name, v in expected.masks.values.items()},
        nan_ok=True,
    )
    assert len(logs) == 24
    assert logs["val_mask_AR1000"] > 0
    assert f"val_{model.monitor}" in logs


@pytest.mark.ci
def test_fit_learns(scenes):
    model = tiny_segments(False, preprocessing=Preprocessing(96, 96))
    loader = Loader(scenes, model.preprocessing, 4, masks=True, fill=True)
    model.compile(keras.optimizers.Adam(0.01))
    batches = loader.for_fit(8)
    options = {"steps_per_epoch": 1, "shuffle": False, "verbose": 0}
    history = model.fit(batches, epochs=8, **options).history
    assert set(history) == {"loss", "score_loss", "mask_loss"}
    assert history["loss"][-1] < 0.8 * history["loss"][0]


# 30 s on two busy cores: AR100 0.738 on TensorFlow.
@pytest.mark.ci
def test_scenes_are_learned_by_heart(tmp_path):
    keras.utils.set_random_seed(0)
    write_scenes(tmp_path, 4, seed=1, size=(128, 128), objects=(2, 4))
    scenes = open_dataset(tmp_path)
    model = segment_proposals_fpn(
        resnet18(norm="group", channels=16),
        preprocessing=Preprocessing(128, 128),
        neck=FeaturePyramid(32, norm="group", name="neck"),
        segment_windows=SegmentWindows(4.0, name="segment_windows"),
        segment_head=SegmentHead(channels=128, name="segment_head"),
    )
    loader = Loader(scenes, model.preprocessing, 4, masks=True)
    rate = keras.optimizers.schedules.CosineDecay(0.003, 300)
    model.compile(keras.optimizers.Adam(rate))
    batches = loader.for_fit(300)
    model.fit(batches, epochs=1, steps_per_epoch=300, shuffle=False, verbose=0)
    found = evaluate_photos(model, scenes).masks.values
    print(found)
    assert found["AR100"] > 0.7


@pytest.mark.ci
def test_a_training_makes_masks_by_itself_and_resumes(scenes, tmp_path):
    plan = TrainingPlan(
        name="segments",
        build=lambda *_: tiny_segments(False, preprocessing=Preprocessing(96, 96)),
        batch_size=2,
        learning_rate=0.01,
        schedule=lambda rate, epoch, total: rate,
        optimizer=keras.optimizers.Adam,
        epochs=1,
    )
    training = prepare_training(plan, scenes, tmp_path / "run", validation=scenes)
    [logs] = training.run()
    assert np.isfinite(logs["mask_loss"])
    assert "val_mask_AR1000" in logs
    best = keras.models.load_model(tmp_path / "run" / "best.keras")
    assert isinstance(best, SegmentProposals)


def without_masks(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(path)
    objects = Objects(np.array([[4, 4, 40, 40]], "float32"), [0], [False])
    return Dataset((Photo(3, path, 64, 64, objects),), ("a",), (1,), name="bare")


@pytest.mark.ci
def test_data_without_masks_raise(model, tmp_path):
    bare = without_masks(tmp_path)
    plan = TrainingPlan("x", lambda *_: model, 1, 0.1, None, None, epochs=1)
    with pytest.raises(ValueError, match=r"must have masks .* received .*photo.png"):
        prepare_training(plan, bare, tmp_path / "run")
    callback = CocoEvaluation(Loader(bare, model.preprocessing, 1))
    with pytest.raises(ValueError, match=r"must all have masks.*data set 'bare'"):
        callback.set_model(model)
    x, y, weight = Loader(bare, model.preprocessing, 1).load(
        Loader(bare, model.preprocessing, 1).batches(0)[0], 0
    )
    with pytest.raises(ValueError, match=r"without \['masks', 'mask_windows'\]"):
        model.compute_loss(x, y, model(x, training=True), weight)
    assert evaluate_photos(model, bare).masks is None


def test_there_is_one_class_and_no_coco_weights():
    with pytest.raises(ValueError, match=r"received class_names=\['a', 'b'\]"):
        SegmentProposals(None, None, ["a", "b"], [1, 2])
    with pytest.raises(ValueError, match=r"COCO weights of SegmentProposals .* \[\]"):
        segment_proposals_fpn(weights="coco")
    with pytest.raises(ValueError, match=r"received 'rpn_head'. Near names"):
        tiny_segments(rpn_head=keras.layers.Dense(1))


@pytest.mark.ci
def test_the_command_draws_masks_writes_them_and_measures_them(
    model, scenes, tmp_path, capsys
):
    weights = tmp_path / "segments.keras"
    model.save(weights)
    photo = str(scenes.photos[0].path)
    found = tmp_path / "found.json"
    options = ["--weights", str(weights), "--output", str(tmp_path / "out")]
    assert main(["detect", photo, *options, "--json", str(found)]) == 0
    results = json.loads(found.read_text())
    [expected] = model.detect(photo, score_threshold=0.5)
    assert [one["segmentation"] for one in results] == expected["masks"]
    assert len(results) > 3
    assert {one["category_name"] for one in results} == {"object"}
    annotations = str(scenes.photos[0].path.parent.parent / "instances.json")
    assert main(["evaluate", annotations, *options]) == 0
    assert "masks:" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())
    expected = evaluate_photos(model, scenes).masks.values["AR1000"]
    assert numbers["masks"]["values"]["AR1000"] == pytest.approx(expected)
