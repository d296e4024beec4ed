"""The page of `keras-fpn serve` in a browser: maps and proposals, and real models."""

import numpy as np
import pytest
from serving.browsing import BLACK, BOXES, Model, Page, open_browser, served
from serving.conftest import encoded, smooth

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "black.png"
    path.write_bytes(BLACK)
    return path


class MapModel(Model):
    """Sees sky in the upper half of any photo, below it sea, and a pixel of sand.

    The photo of 200x400 pixels is resized to 100x200 and padded to 104x208.
    """

    def predict(self, signature, inputs):
        self.photos += inputs["inputs"]
        values = np.full((1, 104, 208), 255, np.uint8)
        values[0, :50, :200], values[0, 50:100, :200] = 0, 1
        values[0, 99, 199] = 2
        return {
            "semantic_map": values,
            "image_info": np.array([[[200, 400], [100, 200], [0.5, 0.5], [0, 0]]]),
            "status": np.array([b"ok"], object),
        }


SKY, SEA, SAND = (
    {"name": "sky", "color": "#ff4026"},
    {"name": "sea", "color": "#0021bf"},
    {"name": "sand", "color": "#00bf4c"},
)
TINTED_SKY, TINTED_SEA = [102, 26, 15, 255], [0, 13, 76, 255]  # 40 % on black


def test_a_map_is_drawn_with_a_legend(browser, photo):
    outputs = ["image_info", "semantic_map", "status"]
    classes = {"classes": [], "pixel_classes": [SKY, SEA, SAND]}
    with served(MapModel(), outputs=outputs, **classes) as address:
        page = Page(browser, address)
        assert page.text("about") == "version 3: labels pixels as sky, sea, sand"
        assert page.element("scores").is_displayed() is False
        page.choose(photo)
        legend = ["sky", "50.0 %", "sea", "50.0 %", "sand", "< 0.1 %"]
        assert page.text("legend").split("\n") == legend
        assert page.text("count") == "3 classes of pixels"
        assert page.json() == {
            "pixels": [
                {"name": "sky", "value": 0, "share": 0.5},
                {"name": "sea", "value": 1, "share": 0.5},
                {"name": "sand", "value": 2, "share": 0.0001},
            ]
        }
        for x in (1, 200, 398):
            np.testing.assert_allclose(page.pixel(x, 97), TINTED_SKY, atol=2)
            np.testing.assert_allclose(page.pixel(x, 103), TINTED_SEA, atol=2)
        np.testing.assert_allclose(page.pixel(399, 199), [0, 76, 30, 255], atol=2)
        label = page.element("canvas").get_attribute("aria-label")
        assert label == "The photo with the classes of its pixels"


def test_a_value_without_a_name_is_shown_too(browser, photo):
    outputs = ["image_info", "semantic_map", "status"]
    with served(MapModel(), outputs=outputs, pixel_classes=[SKY]) as address:
        page = Page(browser, address)
        page.choose(photo)
        assert "class 1\n50.0 %" in page.text("legend")
        np.testing.assert_allclose(page.pixel(1, 103), [90, 29, 25, 255], atol=2)


class PanopticModel(Model):
    """Finds what `Model` does, with masks, in a sea; its cat and dog overlap."""

    def predict(self, signature, inputs):
        found = super().predict(signature, inputs)
        boxes = np.array([[BOXES[0], [50, 200, 150, 400], *BOXES[2:]]], np.float32)
        masks = np.ones((1, 4, 2, 2), np.float32)
        values = np.where(np.arange(200)[:, None] < 100, 0, 1).astype(np.uint8)
        values = np.broadcast_to(values, (1, 200, 400))
        found |= {"detection_boxes": boxes, "detection_masks": masks}
        info = np.array([[[200, 400], [200, 400], [1, 1], [0, 0]]])
        return found | {"semantic_map": values, "image_info": info}


def test_objects_lie_on_stuff_and_the_best_is_on_top(browser, photo):
    outputs = ["detection_boxes", "detection_masks", "semantic_map", "status"]
    things = {"name": "things", "color": None}
    classes = {"pixel_classes": [things, SAND]}
    with served(PanopticModel(), outputs=outputs, **classes) as address:
        page = Page(browser, address)
        assert page.text("about") == (
            "version 3: finds cat, dog; labels pixels as sand"
        )
        page.choose(photo)
        assert page.text("count") == "2 of 3 objects, 2 classes of pixels"
        assert page.text("legend").split("\n") == [
            *("things", "50.0 %"),
            *("sand", "50.0 %"),
        ]
        shown = page.json()
        assert [one["name"] for one in shown["objects"]] == ["cat", "dog"]
        assert [one["value"] for one in shown["pixels"]] == [0, 1]
        cat, dog, sand = TINTED_SKY, TINTED_SEA, [0, 76, 30, 255]
        expected = {
            (20, 90): [0, 0, 0, 255],  # a thing, but none of the objects
            (20, 180): sand,
            (150, 120): cat,  # and no sand below it
            (250, 120): cat,  # and no dog
            (350, 120): dog,
        }
        for place, color in expected.items():
            np.testing.assert_allclose(page.pixel(*place), color, atol=2)
        page.slide_to(0.95)
        np.testing.assert_allclose(page.pixel(150, 120), sand, atol=2)


class ProposalModel(Model):
    """Finds 150 objects of one class in any photo, the best first."""

    def predict(self, signature, inputs):
        found = super().predict(signature, inputs)
        box = [[100.0, 4 * i, 150.0, 4 * i + 3] for i in range(100)]
        box += [[10.0, 4 * i, 50.0, 4 * i + 3] for i in range(50)]
        return found | {
            "detection_boxes": np.array([box], np.float32),
            "detection_classes": np.ones((1, 150), int),
            "detection_scores": np.linspace(1, 0.6, 150)[None],
            "num_detections": np.array([150]),
        }


def test_of_many_proposals_the_best_are_drawn_in_their_own_colors(browser, photo):
    classes = [{"id": 1, "name": "object", "color": "#ff4026"}]
    with served(ProposalModel(), classes=classes) as address:
        page = Page(browser, address)
        assert page.text("about") == "version 3: finds objects of any class"
        page.choose(photo)
        assert page.text("count") == "150 of 150 objects, the best 100 are drawn"
        assert len(page.json()) == 150
        colors = {tuple(page.pixel(4 * i, 125)) for i in range(100)}
        assert len(colors) > 50  # each its own
        assert (0, 0, 0, 255) not in colors
        assert page.pixel(0, 30) == [0, 0, 0, 255]


def tiny_models():
    """Makers of a detector of each kind that the page can draw, by name."""
    from models.test_rpn import tiny_rpn
    from models.test_segment_proposals import tiny_segments
    from models.tiny_keypoints import tiny_keypoint_rcnn
    from models.tiny_panoptic import tiny_panoptic_fpn, tiny_semantic_fpn

    return {
        "semantic": tiny_semantic_fpn,
        "panoptic": tiny_panoptic_fpn,
        "keypoints": tiny_keypoint_rcnn,
        "rpn": tiny_rpn,
        "segments": tiny_segments,
    }


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    "kind", ["semantic", "panoptic", "keypoints", "rpn", "segments"]
)
def test_the_page_draws_what_real_models_return(browser, tmp_path, kind):
    from keras_fpn.export import export_saved_model
    from keras_fpn.serving.model_folder import find_version
    from keras_fpn.serving.server_tensorflow import serving

    path = tmp_path / "smooth.png"
    path.write_bytes(encoded(smooth(120, 160), "PNG"))
    model = tiny_models()[kind]()
    [expected] = model.detect([str(path)], score_threshold=None)
    export_saved_model(model, tmp_path / kind)
    browser.get_log("browser")
    with serving(find_version(tmp_path / kind)) as (address, _):
        page = Page(browser, address)
        page.choose(path)
        page.slide_to(0)
        assert page.element("alert").is_displayed() is False
        shown = page.json()
    objects = shown if isinstance(shown, list) else shown.get("objects", [])
    if "boxes" in expected:
        np.testing.assert_allclose(
            [one["box"] for one in objects], expected["boxes"], atol=0.02
        )
    else:
        assert objects == []
    if "keypoints" in expected:
        points = [np.array(one["keypoints"])[:, :2] for one in objects]
        np.testing.assert_allclose(points, expected["keypoints"][..., :2], atol=0.02)
    if "semantic_map" in expected:
        shares = np.bincount(expected["semantic_map"].ravel()) / (120 * 160)
        names = (
            ["things", *model.stuff_names] if kind == "panoptic" else model.class_names
        )
        for one in shown["pixels"]:
            assert one["name"] == names[one["value"]]
            # Classes of the resized photo, not of the photo.
            assert one["share"] == pytest.approx(shares[one["value"]], abs=0.02)
        assert {one["value"] for one in shown["pixels"]} >= set(
            np.flatnonzero(shares > 0.02)
        )
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []
