"""The tables of zoo/README.md: what stands in them, and how it is counted."""

import json
import types

import keras
import pytest
from test_presets import BACKGROUND, ONE_STAGE, PUBLISHED

import keras_fpn
from keras_fpn.layers import ConvNorm, DeformableConvolution
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.weights.look_alikes import KERAS, LAYOUTS, TORCH
from scripts import zoo_page
from scripts.zoo_page import (
    BEGIN,
    END,
    PAGE,
    Counted,
    count_all,
    layouts,
    multiply_adds_of,
    page,
    parameters_of,
    size_of,
    tables,
)

# What torchvision 0.27.1 states in the metadata of its weights, _ops: units of 1e9, for
# 800x800 pixels. Others were counted with weights that gave fewer RoIs or objects.
MULTIPLY_ADDS = {
    "faster_rcnn_resnet50_fpn_coco": 134.38,
    "faster_rcnn_resnet50_fpn_v2_coco": 280.371,
    "mask_rcnn_resnet50_fpn_v2_coco": 333.577,
    "retinanet_resnet50_fpn_coco": 151.54,
    "retinanet_resnet50_fpn_v2_coco": 152.238,
    "fcos_resnet50_fpn_coco": 128.207,
}


def rows(text):
    """The cells of the rows of Markdown tables, under the preset's name, in turn."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            name, *cells = line.strip("| ").split(" | ")
            found.setdefault(name.strip("`"), []).append(cells)
    return found


def committed():
    _, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return rest.partition(END)[0]


def test_the_page_has_the_facts_of_every_preset():
    presets = keras_fpn.list_presets()
    unknown = Counted("", 0, (0, 0), 0, {})
    expected = rows(tables(dict.fromkeys(presets, unknown)))
    found = rows(committed())
    advice = "run: python scripts/zoo_page.py"
    assert list(found) == list(expected) == list(presets), advice
    for name, (counts, facts) in found.items():
        assert counts[3:] == expected[name][0][3:], advice
        assert facts == expected[name][1], advice


def stated(name):
    """torchvision's count of parameters, without the box and mask of the background."""
    beyond = BACKGROUND.get(name.split("_")[0], 0)
    return {**PUBLISHED, **ONE_STAGE}[name] - beyond


def test_the_page_has_the_parameters_that_torchvision_states():
    found = rows(committed())
    for name in (*PUBLISHED, *ONE_STAGE):
        assert found[name][0][1] == f"{stated(name) / 1e6:.2f} M"


def test_a_number_of_others_is_not_given_as_ours():
    for name, (counts, facts) in rows(committed()).items():
        published, measured = counts[3:]
        if name in keras_fpn.weights.SHIPPED:
            assert (published, facts[0]) == ("trained here", f"{name}.keras")
            assert "box AP" in measured
        else:
            assert measured == "not measured here"
            assert "COCO val2017" in published
    bccd = rows(committed())["faster_rcnn_resnet18_fpn_bccd"][0]
    assert bccd[-1] == "box AP 59.1, BCCD test"


def test_every_preset_has_one_layout():
    entries = json.loads(LAYOUTS.read_text("utf-8"))
    names = [name for entry in entries for name in entry["presets"]]
    assert sorted(names) == sorted(keras_fpn.list_presets()), (
        "run: python scripts/zoo_page.py"
    )
    for entry in entries:
        assert entry[KERAS]
        shipped = set(entry["presets"]) <= set(keras_fpn.weights.SHIPPED)
        assert bool(entry[TORCH]) != shipped


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((800, 1333), (800, 1216)),
        ((320, 640), (320, 480)),
        ((360, 480), (384, 480)),
        ((100, 100), (128, 128)),
    ],
)
def test_the_photo_has_the_presets_size(sizes, expected):
    assert size_of(Preprocessing(*sizes)) == expected


def model_of(outputs, inputs):
    model = keras.Model(inputs, outputs)
    model.extra_inputs = {"proposals": (None, 4)}
    model.final_part = lambda: types.SimpleNamespace(max_detections=5)
    return model


def test_multiply_adds_worked_by_hand():
    images = keras.Input((None, None, 3), name="images")
    sizes = keras.Input((2,), name="image_sizes")
    proposals = keras.Input((None, 4), name="proposals")
    maps = ConvNorm(4, 3, 2, norm="batch")(images)  # 10 x 20 -> 5 x 10
    upsampled = keras.layers.Conv2DTranspose(2, 2, 2)(maps)  # from those 5 x 10
    deformed = DeformableConvolution(6)(upsampled)  # on 10 x 20
    of_rois = keras.layers.Dense(7)(proposals)
    outputs = {"maps": deformed, "rois": of_rois, "sizes": sizes}
    model = model_of(
        outputs, {"images": images, "image_sizes": sizes, "proposals": proposals}
    )
    expected = 50 * 3 * 3 * 3 * 4
    expected += 50 * 2 * 2 * 4 * 2
    expected += 200 * 3 * 3 * 2 * 27  # two offsets and a factor at each of 9 places
    expected += 200 * 3 * 3 * 2 * 6
    expected += 1000 * 4 * 7
    assert multiply_adds_of(model, (10, 20)) == expected
    assert multiply_adds_of(model, (20, 20)) != expected
    # Neither moving mean and variance; the last layer has a bias.
    convolved = 3 * 3 * 3 * 4 + 4 + 4
    transposed, points = 2 * 2 * 4 * 2 + 2, 3 * 3 * 2 * 27 + 27
    assert parameters_of(model) == (
        convolved + transposed + points + 3 * 3 * 2 * 6 + 6 + 4 * 7 + 7
    )


@pytest.mark.tensorflow_only  # on JAX every shape is known beforehand
def test_heads_on_found_objects_count_as_many_as_can_be():
    images = keras.Input((None, None, 3), name="images")
    sizes = keras.Input((2,), name="image_sizes")
    pixels = keras.ops.reshape(images, (1, -1, 3))  # as many as there are
    proposals = keras.Input((None, 4), name="proposals")
    inputs = {"images": images, "image_sizes": sizes, "proposals": proposals}

    class Found(keras.Layer):
        """Keeps some; how many is not known beforehand."""

        def call(self, values):
            return keras.ops.reshape(values[values[..., 0] > 0], (1, -1, 3))

        def compute_output_shape(self, shape):
            return 1, None, 3

    outputs = keras.layers.Dense(2)(Found()(pixels))
    assert multiply_adds_of(model_of(outputs, inputs), (4, 4)) == 5 * 3 * 2


@pytest.fixture(scope="module")
def counts():
    """What is counted of every preset, which takes two minutes."""
    return count_all()


@pytest.mark.ci
def test_the_committed_page_and_layouts_are_up_to_date(counts):
    assert PAGE.read_text("utf-8") == page(counts), "run: python scripts/zoo_page.py"
    assert LAYOUTS.read_text("utf-8") == layouts(counts)


@pytest.mark.ci
@pytest.mark.parametrize("name", [*PUBLISHED, *ONE_STAGE])
def test_parameters_are_those_that_torchvision_states(name, counts):
    assert counts[name].parameters == stated(name)


@pytest.mark.slow  # Last run: 2026-11-29, all passed.
@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds_are_those_that_torchvision_states(name):
    model = keras_fpn.from_preset(name, load_weights=False)
    found = multiply_adds_of(model, (800, 800))
    if "rcnn" in name:  # 1000 boxes of the background
        found += 1000 * 4 * 1024
    if "mask" in name:  # 100 masks of the background, 28x28
        found += 100 * 28 * 28 * 256
    assert f"{found / 1e9:.3f}" == f"{MULTIPLY_ADDS[name]:.3f}"


def test_presets_of_one_architecture_are_built_once(monkeypatch):
    built = []
    monkeypatch.setattr(zoo_page, "counted", lambda name: built.append(name) or name)
    found = count_all()
    assert set(found) == set(keras_fpn.list_presets())
    assert len(built) < len(found)
    third, first = (f"faster_rcnn_resnet50_fpn_detectron2_{n}x" for n in (3, 1))
    assert found[third] == found[first] == first
    assert found["faster_rcnn_resnet101_fpn_detectron2_3x"] not in (third, first)
