"""The page of `keras-fpn serve` in a real browser, Debian's chromium without a window.

Most tests ask a server whose model is a stand-in that always finds the same.
"""

import base64
import contextlib
import io
import json
import os
import shutil
import socket

import numpy as np
import pytest
from PIL import Image
from serving.conftest import encoded, smooth
from serving.test_client import TURNED

from keras_fpn.serving.request_queue import Limits, RequestQueue
from keras_fpn.serving.rest_server import RestContent, RestServer

pytestmark = pytest.mark.ci

RED = [255, 64, 38, 255]  # of the first class
CLASSES = [
    {"id": 17, "name": "cat", "color": "#ff4026"},
    {"id": 18, "name": "dog", "color": "#0021bf"},
]
BLACK = encoded(np.zeros((200, 400, 3), np.uint8), "PNG")  # drawn at twice its size
BOXES = [[50, 100, 150, 300], [10, 20, 30, 40], [60, 60, 70, 70], [0, 0, 0, 0]]


class Model:
    """Finds a cat and two dogs in any photo; `more` is what it finds besides.

    Attributes:
        photos: list of bytes, what it was sent.
        error: raised instead, if it is not None.
    """

    name, version = "pets", 3

    def __init__(self):
        self.photos, self.more, self.error = [], {}, None

    def only_input(self, signature):
        return "inputs"

    def predict(self, signature, inputs):
        self.photos += inputs["inputs"]
        if self.error is not None:
            raise self.error
        found = {
            "detection_boxes": np.array([BOXES], np.float32),
            "detection_classes": np.array([[17, 18, 99, -1]]),
            "detection_scores": np.array([[0.9, 0.6, 0.3, 0.0]]),
            "num_detections": np.array([3]),
            "image_info": np.array([[[200, 400], [1, 1], [1, 1], [0, 0]]]),
            "status": np.array([b"ok"], object),
        }
        return found | self.more


class Page:
    """The page in a browser, as a person uses it."""

    def __init__(self, browser, address):
        self._browser = browser
        browser.get(address)
        self.wait_until(lambda: self.text("name").strip())

    def element(self, name):
        return self._browser.find_element("id", name)

    def text(self, name):
        return self.element(name).text

    def run(self, script, *arguments):
        return self._browser.execute_script(script, *arguments)

    def wait_until(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self._browser, 60, 0.05).until(lambda _: condition())

    def choose(self, path):
        """Chooses a photo, and waits for what comes of it."""
        self.element("file").send_keys(str(path))
        self.wait_for_answer()

    def wait_for_answer(self):
        answered = "found.length > 0 || pixels !== null || !$('alert').hidden"
        come = f"return $('wait').hidden && ({answered})"
        self.wait_until(lambda: self.run(come))

    def slide_to(self, score):
        set_value = "$('threshold').value = arguments[0];"
        event = "$('threshold').dispatchEvent(new Event('input'))"
        self.run(set_value + event, score)

    def json(self):
        return json.loads(self.run("return $('json').textContent"))

    def pixel(self, x, y):
        """Returns the color of the drawing, RGBA, at a place in the photo's pixels."""
        size = self.run("return [$('canvas').width, photo.width]")
        place = [round(side * size[0] / size[1]) for side in (x, y)]
        read = "$('canvas').getContext('2d').getImageData(...arguments, 1, 1).data"
        return self.run(f"return Array.from({read})", *place)


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window; where there is none, the tests are skipped."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("no browser: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium has none for root
    driver = webdriver.Chrome(options, Service(programs[1]))
    driver.set_window_size(1300, 900)
    yield driver
    driver.quit()


@contextlib.contextmanager
def served(model, sample=None, **description):
    queue = RequestQueue(Limits(request_bytes=200_000))
    listening = socket.create_server(("127.0.0.1", 0))
    known = {"name": model.name, "version": 3, "classes": CLASSES, "pixel_classes": []}
    known |= {"inputs": ["inputs"], "outputs": ["detection_boxes", "status"]}
    known |= {"has_sample": sample is not None, **description}
    server = RestServer(model, queue, listening, RestContent({}, known, sample))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stop()
        queue.stop()


@pytest.fixture(scope="module")
def model():
    return Model()


@pytest.fixture(scope="module")
def address(model):
    with served(model) as address:
        yield address


@pytest.fixture
def page(browser, address, model):
    model.photos, model.more, model.error = [], {}, None
    browser.get_log("browser")  # forgets those of the test before
    return Page(browser, address)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "black.png"
    path.write_bytes(BLACK)
    return path


def test_a_photo_is_sent_as_it_is_and_its_boxes_are_drawn(page, photo, browser, model):
    assert page.text("name") == "pets"
    assert page.text("about") == "version 3: finds cat, dog"
    page.choose(photo)
    assert model.photos == [BLACK]
    assert page.text("count") == "2 of 3 objects"
    assert page.text("found").split("\n") == ["cat", "0.90", "dog", "0.60"]
    assert page.json() == [
        {"name": "cat", "id": 17, "score": 0.9, "box": [100, 50, 300, 150]},
        {"name": "dog", "id": 18, "score": 0.6, "box": [20, 10, 40, 30]},
    ]
    assert page.pixel(100, 100) == page.pixel(300, 100) == page.pixel(200, 150) == RED
    assert page.pixel(200, 100) == page.pixel(320, 100) == [0, 0, 0, 255]
    assert page.element("alert").is_displayed() is False
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


def test_the_slider_chooses_by_score(page, photo):
    page.choose(photo)
    page.slide_to(0.95)
    assert (page.text("count"), page.json()) == ("0 of 3 objects", [])
    assert page.pixel(100, 100) == [0, 0, 0, 255]
    page.slide_to(0.3)
    assert page.text("count") == "3 of 3 objects"
    assert page.json()[2]["name"] == "category 99"
    assert page.text("shown") == "0.30"


def test_a_photo_can_be_dropped_and_the_result_copied(page):
    page.run(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "black.png", {type: "image/png"}));
        dispatchEvent(new DragEvent("dragover", {dataTransfer: data, bubbles: true}));
        dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        """,
        base64.b64encode(BLACK).decode(),
    )
    page.wait_for_answer()
    assert page.text("count") == "2 of 3 objects"
    page.element("copy").click()
    page.wait_until(lambda: page.text("copy") == "Copied")


def test_masks_are_stretched_over_their_windows(page, photo, model):
    masks = np.zeros((1, 4, 2, 2), np.float32)
    masks[0, 0] = [[1, 0], [0, 0]]
    windows = np.array([[[50, 100, 150, 380], *BOXES[1:]]], np.float32)
    model.more = {"detection_masks": masks, "detection_outer_boxes": windows}
    page.choose(photo)
    tinted = page.pixel(170, 75)  # the center of the first cell
    np.testing.assert_allclose(tinted, [102, 26, 15, 255], atol=2)
    assert page.pixel(310, 75) == page.pixel(170, 125) == [0, 0, 0, 255]
    # Halfway between the cells, and at a quarter of the window's sides.
    np.testing.assert_allclose(page.pixel(236, 75), tinted, atol=2)
    assert page.pixel(246, 75) == [0, 0, 0, 255]


def test_keypoints_with_a_score_are_drawn(page, photo, model):
    points = np.zeros((1, 4, 2, 2), np.float32)
    points[0, 0] = [[100, 200], [120, 250]]  # y, x
    scores = np.full((1, 4, 2), -1.0)
    scores[0, 0, 0] = 3.25
    model.more = {"detection_keypoints": points, "detection_keypoint_scores": scores}
    page.choose(photo)
    assert page.pixel(200, 100) == RED
    assert page.pixel(250, 120) == [0, 0, 0, 255]
    assert page.json()[0]["keypoints"] == [[200, 100, 3.25], [250, 120, -1]]


def test_fractions_become_pixels(page, photo, model):
    sides = np.array([200, 400, 200, 400], np.float32)
    model.more = {"detection_boxes": np.array([BOXES], np.float32) / sides}
    page.choose(photo)
    assert page.json()[0]["box"] == [100, 50, 300, 150]


def test_what_is_no_upright_jpeg_or_png_is_sent_as_one(page, tmp_path, model):
    pixels = smooth(40, 60)
    upright = np.rot90(pixels, -1)
    turned = Image.Exif()
    turned.update(dict(TURNED.items()))
    files = {
        "a.jpg": ({"quality": 95}, pixels, True),
        "turned.jpg": ({"quality": 95, "exif": turned}, upright, False),
        "turned.png": ({"exif": turned}, upright, False),
        "a.webp": ({"lossless": True}, pixels, False),
    }
    for name, (options, expected, unchanged) in files.items():
        path = tmp_path / name
        Image.fromarray(pixels).save(path, **options)
        page.run("location.reload()")
        page.wait_until(lambda: page.run("return model !== null && photo === null"))
        page.choose(path)
        sent = model.photos.pop()
        assert (sent == path.read_bytes()) == unchanged, name
        with Image.open(io.BytesIO(sent)) as image:
            assert image.format == ("JPEG" if name.endswith("jpg") else "PNG")
            assert image.getexif().get(0x0112, 1) == 1
            found = np.asarray(image.convert("RGB")).astype(int)
        assert found.shape == expected.shape
        assert np.abs(found - expected).mean() < 8, name


def test_errors_are_said_in_words_and_the_next_photo_works(
    page, photo, tmp_path, model
):
    text = tmp_path / "notes.jpg"
    text.write_text("hello")
    page.choose(text)
    assert "cannot read notes.jpg. Choose a JPEG, PNG or WebP" in page.text("alert")
    assert model.photos == []
    model.more = {
        "status": np.array([b"damaged"], object),
        "num_detections": np.array([0]),
    }
    page.choose(photo)
    assert "could not use this photo: it is damaged." in page.text("alert")
    large = tmp_path / "large.png"
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    large.write_bytes(encoded(noise, "PNG"))
    page.choose(large)
    assert "refused the photo (413): A request must have" in page.text("alert")
    model.more = {}
    page.choose(photo)
    assert page.element("alert").is_displayed() is False
    assert page.text("count") == "2 of 3 objects"


def test_a_server_that_is_gone_is_said(browser, photo):
    with served(Model()) as address:
        page = Page(browser, address)
    page.choose(photo)
    assert page.text("alert") == "The server does not answer. Is it still running?"


def test_the_sample_is_one_click(browser, photo):
    model = Model()
    with served(model, photo) as address:
        page = Page(browser, address)
        page.element("sample").click()
        page.wait_for_answer()
    assert model.photos == [BLACK]


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (
            {"inputs": ["inputs", "proposals"]},
            "This page sends photos alone, and this model needs proposals, too.",
        ),
        ({"outputs": ["scores", "status"]}, "this model returns neither."),
        ({"outputs": ["detection_boxes"]}, "this model returns neither."),
        ({"inputs": [], "outputs": []}, "this model returns neither."),
    ],
)
def test_a_model_of_another_kind_is_not_offered_photos(browser, description, reason):
    with served(Model(), **description) as address:
        page = Page(browser, address)
        assert page.text("alert").endswith(f"{reason} Ask it by REST or gRPC.")
        assert page.element("drop").is_displayed() is False


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


@pytest.mark.tensorflow_only
def test_a_real_model_finds_what_detect_finds(browser, exported, detector, tmp_path):
    from keras_fpn.serving.model_folder import find_version
    from keras_fpn.serving.server_tensorflow import serving

    path = tmp_path / "smooth.png"
    path.write_bytes(encoded(smooth(120, 160), "PNG"))
    [expected] = detector.detect([str(path)])
    with serving(find_version(exported)) as (address, _):
        page = Page(browser, address)
        assert page.element("sample").is_displayed() is False
        page.choose(path)
        page.slide_to(0)
        found = page.json()
    names = [detector.class_names[label] for label in expected["labels"]]
    assert [one["name"] for one in found] == names
    np.testing.assert_allclose(
        [one["box"] for one in found], expected["boxes"], atol=0.02
    )


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
