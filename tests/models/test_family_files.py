"""A detector of every kind is the same from a file, in another process and served."""

import functools
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from models.tiny_family import FAMILY, PHOTO, PROPOSALS, given
from numpy.testing import assert_allclose, assert_array_equal
from on_backend import arrays
from PIL import Image

from keras_fpn import models

# What a detector knows beside its layers.
MEANING = (
    *("class_names", "category_ids", "stuff_set", "keypoint_set"),
    *("mask_paste", "preprocessing"),
)


def kinds(*quick):
    """Every kind, as parameters of `case`; all but those named are left to CI."""
    return [
        pytest.param(name, marks=() if name in quick else pytest.mark.ci)
        for name in FAMILY
    ]


@dataclass(frozen=True)
class Case:
    """A detector, its .keras file and what it finds in `PHOTO`."""

    name: str
    model: models.Detector
    path: Path
    found: dict


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns the `Case` of a kind, made once."""
    folder = tmp_path_factory.mktemp("family")

    @functools.cache
    def make(name):
        model = FAMILY[name].tiny()
        model.seed = 7
        model.training_step.assign(5)
        path = folder / f"{name}.keras"
        model.save(path)
        found = detected(model)
        rows = found.get("scores", np.unique(found.get("semantic_map")))
        assert len(rows) > 1, f"{name} finds nothing that could be compared"
        return Case(name, model, path, found)

    return make


@pytest.fixture
def case(request, made):
    return made(request.param)


def detected(model, **options):
    [found] = model.detect([PHOTO], **given(model), **options)
    return found


def config(model):
    """Returns a detector's config as it stands in a file."""
    return json.loads(json.dumps(model.get_config()))


def differing(found, expected):
    """Returns the names of results that are not equal to the bit."""
    return [
        name
        for name in sorted({*found, *expected})
        if not same(found.get(name), expected.get(name))
    ]


def same(one, other):
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and one == other


def assert_equal(model, case):
    """Asserts that a detector is that of a case, and detects alike."""
    assert type(model) is type(case.model)
    for name in MEANING:
        assert getattr(model, name) == getattr(case.model, name), name
    for one, other in zip(model.weights, case.model.weights, strict=True):
        assert_array_equal(arrays(one), arrays(other), err_msg=one.path)
    assert differing(detected(model), case.found) == []


def test_every_builder_has_a_tiny_detector():
    builders = {name for name in models.__all__ if name.endswith("_fpn")}
    assert {kind.builder.__name__ for kind in FAMILY.values()} == builders


# The other kinds are loaded and compared in a fresh process, below.
@pytest.mark.parametrize("case", ["faster_rcnn", "mask_rcnn"], indirect=True)
def test_it_is_saved_and_loaded(case):
    assert_equal(keras.models.load_model(case.path), case)


@pytest.mark.parametrize("case", kinds("faster_rcnn"), indirect=True)
def test_its_builder_takes_its_file_and_it_loads_weights_alone(case, tmp_path):
    model = FAMILY[case.name].builder(weights=case.path)
    assert int(model.training_step.value) == 0  # of a training to come
    model.training_step.assign(5)
    assert_equal(model, case)
    # The same detector with other weights: its graph takes longer to make than to run.
    for weight in model.weights:
        weight.assign(keras.ops.zeros(weight.shape, weight.dtype))
    assert differing(detected(model), case.found) != []
    case.model.save_weights(tmp_path / "tiny.weights.h5")
    model.load_weights(tmp_path / "tiny.weights.h5")
    assert_equal(model, case)


FRESH = """
import json, pathlib, pickle, sys
import keras, keras_fpn
folder = pathlib.Path(sys.argv[1])
answers = {}
for name, options in json.loads(sys.argv[2]).items():
    model = keras.models.load_model(folder / f"{name}.keras")
    [found] = model.detect([folder / "photo.png"], **options)
    config = json.loads(json.dumps(model.get_config()))
    answers[name] = found, type(model).__name__, config
(folder / "answers.pickle").write_bytes(pickle.dumps(answers))
"""
IN_EVERY_RUN = ["faster_rcnn"]
OTHERS = [name for name in FAMILY if name not in IN_EVERY_RUN]


@pytest.mark.parametrize(
    "names", [IN_EVERY_RUN, pytest.param(OTHERS, marks=pytest.mark.ci)]
)
def test_a_fresh_process_detects_alike(made, names):
    cases = [made(name) for name in names]
    folder = cases[0].path.parent
    Image.fromarray(PHOTO).save(folder / "photo.png")
    options = {
        case.name: {
            key: np.array(value).tolist() for key, value in given(case.model).items()
        }
        for case in cases
    }
    command = [sys.executable, "-c", FRESH, str(folder), json.dumps(options)]
    subprocess.run(command, check=True)  # one for all, since its imports take long
    answers = pickle.loads((folder / "answers.pickle").read_bytes())
    for case in cases:
        found, *told = answers[case.name]
        assert differing(found, case.found) == [], case.name
        assert told == [type(case.model).__name__, config(case.model)], case.name


SWAPPED = [1, 0, 3, 2]  # x1, y1, x2, y2 and y1, x1, y2, x2
TOLERANCES = {  # pixels, but for shares; resizing rounds positions in another place
    "detection_boxes": 0.01,
    "detection_outer_boxes": 0.01,
    "detection_keypoints": 0.02,
    "detection_scores": 1e-4,
    "detection_masks": 1e-3,
    "detection_keypoint_scores": 1e-3,
}
PADDING = {"detection_classes": -1}  # of the others 0


def rows_of_server(model):
    """Returns what docs/serving.md says of the rows that are served, from `detect`."""
    found = detected(model, masks="crops")
    if "boxes" not in found:
        return {}
    rows = {
        "detection_boxes": found["boxes"][:, SWAPPED],
        "detection_classes": np.array(model.category_ids)[found["labels"]],
        "detection_scores": found["scores"],
    }
    if "masks" in found:
        rows["detection_masks"] = found["masks"]
    if "mask_windows" in model.output:
        rows["detection_outer_boxes"] = found["mask_windows"][:, SWAPPED]
    if "keypoints" in found:
        rows["detection_keypoints"] = found["keypoints"][..., 1::-1]
        rows["detection_keypoint_scores"] = found["keypoints"][..., 2]
    return rows


def assert_map_equal(served, expected):
    """Asserts that the map of a resized image is that of its photo."""
    height, width = served["image_info"][1].astype(int)
    image = served["semantic_map"][:height, :width]
    assert (image != 255).all()
    assert np.sum(served["semantic_map"] != 255) == image.size
    size = expected.shape[::-1]
    nearest = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
    assert (np.asarray(nearest) == expected).mean() > 0.97


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("case", kinds(), indirect=True)
def test_its_export_answers_as_detect_does(case, tmp_path):
    import tensorflow as tf
    from serving.operations import assert_stock

    from keras_fpn.export import export_saved_model

    folder = export_saved_model(case.model, tmp_path / case.name)
    assert_stock(folder)
    serve = tf.saved_model.load(str(folder)).signatures["image_tensor"]
    asked = {"proposals": PROPOSALS[None, :, SWAPPED]} if given(case.model) else {}
    answer = serve(inputs=tf.constant(PHOTO[None]), **asked)
    served = {name: value.numpy()[0] for name, value in answer.items()}
    assert served["status"] == b"ok"
    rows = rows_of_server(case.model)
    maps = {"semantic_map"} & {*case.found}
    count = {"num_detections"} if rows else set()
    assert set(served) == {"image_info", "status"} | {*rows} | maps | count
    for name, expected in rows.items():
        assert served["num_detections"] == len(expected) > 0
        found, padding = np.split(served[name], [len(expected)])
        assert_allclose(found, expected, atol=TOLERANCES.get(name, 0), err_msg=name)
        assert (padding == PADDING.get(name, 0)).all(), name
    if maps:
        assert_map_equal(served, case.found["semantic_map"])
