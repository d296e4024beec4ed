"""Keypoint R-CNN detects, is trained, measured and fine-tuned."""

import dataclasses

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector
from models.tiny_keypoints import CORNERS, tiny_keypoint_rcnn
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from skimage import data

from keras_fpn.data import Dataset, Loader, Objects, Photo
from keras_fpn.layers import ProbabilityPeaks
from keras_fpn.metrics import CocoEvaluation, evaluate_photos
from keras_fpn.models import (
    COCO_PERSON,
    FasterRCNN,
    KeypointSet,
    keypoint_rcnn_fpn,
)
from keras_fpn.report import detect_photos, evaluation_text
from keras_fpn.training import finetuning_plan
from keras_fpn.training.transfer import with_classes

PHOTO = data.coffee()


@pytest.fixture(scope="module")
def model():
    return tiny_keypoint_rcnn()


@pytest.fixture(scope="module")
def found(model):
    return model.detect(PHOTO)[0]


def test_every_detection_has_keypoints_in_its_box(found):
    count = len(found["scores"])
    assert found["keypoints"].shape == (count, 3, 3)
    assert count > 1
    x, y = found["keypoints"][..., 0], found["keypoints"][..., 1]
    x1, y1, x2, y2 = found["boxes"].T[..., None]
    assert ((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)).all()
    assert np.ptp(x) > 20  # pixels of the photo


def test_the_boxes_are_those_of_faster_rcnn_with_the_same_layers(model, found):
    parts = model.parts
    faster = FasterRCNN(
        tiny_detector(1).parts.__class__(
            parts.backbone, parts.neck, parts.region, parts.box
        ),
        model.preprocessing,
        model.class_names,
        model.category_ids,
    )
    [boxes] = faster.detect(PHOTO)
    assert_array_equal(boxes["boxes"], found["boxes"])
    assert "keypoints" not in boxes


@pytest.mark.ci
def test_a_mirrored_photo_exchanges_left_and_right(model):
    # The mirror image of the results in the mirrored photo: what its second view gives.
    [plain] = model.detect(PHOTO[:, ::-1])
    [views] = model.detect(PHOTO, flip=True, score_threshold=0.0, max_detections=99)
    width = PHOTO.shape[1]
    box = plain["boxes"][0]
    mirrored = np.array([width - box[2], box[1], width - box[0], box[3]])
    distances = np.abs(views["boxes"] - mirrored).max(axis=1)
    row = distances.argmin()
    assert distances[row] < 0.01
    expected = plain["keypoints"][0][[1, 0, 2]] * [-1, 1, 1] + [width, 0, 0]
    assert_allclose(views["keypoints"][row], expected, atol=0.01)
    with pytest.raises(ValueError, match=r"masks or keypoints .* no mean"):
        model.detect(PHOTO, flip=True, merge="weighted_boxes")


def photos_with_keypoints(folder, keypoints=CORNERS):
    """Two photos of a bright rectangle with its upper corners and its center."""
    draw, photos = np.random.default_rng(0), []
    for number, (x1, y1, x2, y2) in enumerate([(20, 16, 84, 80), (40, 8, 72, 88)]):
        pixels = draw.uniform(0, 60, (96, 128, 3)).astype("uint8")
        pixels[y1:y2, x1:x2] = (230, 120, 40)
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        middle = (x1 + x2) / 2, (y1 + y2) / 2
        points = [[(x1, y1, 2), (x2, y1, 1), (*middle, 2)][: len(keypoints)]]
        objects = Objects([(x1, y1, x2, y2)], [0], [False], keypoints=points)
        photos.append(Photo(number + 1, path, 96, 128, objects))
    return Dataset(
        photos, ("shape",), (1,), keypoints.names, keypoints.flip_pairs, name="made"
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return photos_with_keypoints(tmp_path_factory.mktemp("photos"))


@pytest.mark.ci
def test_fit_learns_keypoints(dataset):
    keras.utils.set_random_seed(0)
    model = tiny_keypoint_rcnn(filled=False)
    loader = Loader(dataset, model.preprocessing, 2)
    model.compile(keras.optimizers.Adam(0.003))
    callback = CocoEvaluation(loader)
    options = {"steps_per_epoch": 10, "shuffle": False, "verbose": 0}
    history = model.fit(
        loader.for_fit(20), epochs=2, callbacks=[callback], **options
    ).history
    losses = {name for name in history if "val" not in name}
    assert losses == {"loss", *model.loss_names}
    assert history["keypoint_loss"][-1] < history["keypoint_loss"][0]
    assert f"val_{model.monitor}" in history
    assert callback.keypoints.kind == "keypoints"


@pytest.mark.ci
def test_the_evaluation_measures_keypoints_by_the_detectors_sigmas(model, dataset):
    evaluation = evaluate_photos(model, dataset)
    assert evaluation.keypoints.objects == 2
    assert "keypoints:" in evaluation_text(evaluation)
    assert evaluation.notes == [
        "Keypoints were compared with the sigmas 0.1, 0.1, 0.1."
    ]
    bare = dataclasses.replace(dataset, keypoint_names=(), flip_pairs=())
    evaluation = evaluate_photos(model, bare)
    assert evaluation.keypoints is None
    assert "no keypoints: only boxes" in evaluation.notes[0]


@pytest.mark.ci
def test_data_with_other_keypoints_are_refused(model, dataset, tmp_path):
    other = dataclasses.replace(dataset, keypoint_names=("a", "b"), flip_pairs=())
    callback = CocoEvaluation(Loader(dataset, model.preprocessing, 1))
    callback.loader = Loader(other, model.preprocessing, 1)
    with pytest.raises(ValueError, match=r"3 keypoints .*RCNN .*'made' with 2"):
        callback.set_model(model)
    with pytest.raises(ValueError, match=r"3 keypoints .* received 'made' with 2"):
        evaluate_photos(model, other)
    x = {"images": np.zeros((1, 64, 64, 3)), "image_sizes": np.full((1, 2), 64.0)}
    y = {"boxes": np.zeros((1, 1, 4)), "labels": np.array([[-1]])}
    with pytest.raises(ValueError, match=r"without \['keypoints'\]"):
        model.compute_loss(x, y, None, training=False)


def test_pictures_show_keypoints_above_the_threshold(model, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    pictures = []
    for threshold in (-np.inf, np.inf):
        model.keypoint_peaks.shown_above = threshold
        [one] = detect_photos(model, [tmp_path / "photo.png"], tmp_path / "out")
        pictures.append(np.asarray(Image.open(one.picture), int))
    del model.keypoint_peaks.shown_above
    assert np.abs(pictures[0] - pictures[1]).max() > 50


def test_fine_tuning_keeps_keypoints_of_the_same_name(model, dataset):
    others = KeypointSet(("center", "new"))
    tuned = with_classes(model, ["a"], [7], keypoints=others)
    assert tuned.keypoint_set == others
    kernel, bias = model.keypoint_predictor.upsample.get_weights()
    own_kernel, own_bias = tuned.keypoint_predictor.upsample.get_weights()
    assert_array_equal(own_kernel[:, :, 0], kernel[:, :, 2])
    assert own_bias[0] == bias[2]
    assert not np.array_equal(own_kernel[:, :, 1], kernel[:, :, 1])
    hidden = [one.keypoint_head.get_weights()[0] for one in (model, tuned)]
    assert_array_equal(*hidden)
    same = with_classes(model, ["a"], [7])
    assert same.keypoint_set == CORNERS
    assert_array_equal(same.keypoint_predictor.upsample.get_weights()[0], kernel)
    plan = finetuning_plan(model, dataset)
    assert plan.build(["shape"], [1]).keypoint_set.names == CORNERS.names
    assert plan.augment[0].flip_pairs == ((0, 1),)


def test_its_parts_can_be_given():
    person = keypoint_rcnn_fpn(tiny_backbone())
    assert person.class_names == ["person"]
    assert person.keypoint_set == COCO_PERSON
    peaks = ProbabilityPeaks(name="keypoint_peaks")
    other = tiny_keypoint_rcnn(filled=False, keypoint_peaks=peaks)
    assert other.keypoint_threshold == 0.05
    with pytest.raises(ValueError, match=r"received 'keypoint_heads'. Near names"):
        keypoint_rcnn_fpn(tiny_backbone(), keypoint_heads=None or peaks)
