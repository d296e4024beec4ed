"""The page of `keras-fpn serve` in a real browser, Debian's chromium without a window.

Most tests ask a server whose model is a stand-in that always finds the same.
"""

import base64
import io
import itertools

import numpy as np
import pytest
from PIL import Image
from serving.browsing import (
    BLACK,
    BOXES,
    CLASSES,
    RED,
    Model,
    Page,
    open_browser,
    served,
)
from serving.conftest import encoded, smooth
from serving.test_client import TURNED

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


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


def labels(page):
    """What is written on the drawing, (text, box on the canvas), the best first."""
    drawn = "const kept = found.slice(0, MOST), canvas = $('canvas');"
    places = "labelsOf(canvas.getContext('2d'), kept, canvas.width / photo.width, 1)"
    found = page.run(f"{drawn} return {places}")
    return [(one["text"], one["place"]) for one in found]


def many(boxes):
    """What a model finds: cats in these boxes, y1, x1, y2, x2, the first best."""
    count = len(boxes)
    return {
        "detection_boxes": np.array([boxes], np.float32),
        "detection_classes": np.full((1, count), 17),
        "detection_scores": np.linspace(0.9, 0.6, count)[None],
        "num_detections": np.array([count]),
    }


def test_labels_of_equal_boxes_lie_beside_each_other(page, photo, model):
    model.more = many([[50, 100, 150, 300]] * 8)
    page.choose(photo)
    written = labels(page)
    assert [text for text, _ in written][::7] == ["cat 0.90", "cat 0.60"]
    for (_, one), (_, other) in itertools.combinations(written, 2):
        apart = one[2] <= other[0] or other[2] <= one[0]
        assert apart or one[3] <= other[1] or other[3] <= one[1]


def test_labels_in_a_crowd_hide_no_box(page, photo, model):
    # Boxes of 12 pixels, 16 apart: "cat 0.90" has room beside the outer ones only.
    corners = [(y, x) for y in range(40, 160, 16) for x in range(100, 290, 16)]
    model.more = many([(y, x, y + 12, x + 12) for y, x in corners])
    page.choose(photo)
    written = labels(page)
    assert 4 < len(written) < len(corners) / 2
    for y, x in corners:
        box = 2 * np.array([x, y, x + 12, y + 12])  # the drawing's pixels
        for _, place in written:
            low, high = np.maximum(box[:2], place[:2]), np.minimum(box[2:], place[2:])
            assert np.maximum(high - low, 0).prod() <= 24 * 24 / 4


def test_objects_of_the_only_class_have_own_colors_and_no_names(browser, photo):
    model = Model()
    model.more = many([[50, 100, 150, 300], [10, 20, 30, 40]])
    with served(model, classes=CLASSES[:1]) as address:
        page = Page(browser, address)
        page.choose(photo)
        assert page.text("about") == "version 3: finds cat"
        assert [text for text, _ in labels(page)] == ["0.90", "0.60"]
        first, second = page.pixel(100, 100), page.pixel(40, 20)
        assert first != second
        assert [0, 0, 0, 255] not in (first, second)
        assert page.json()[0]["name"] == "cat"


def test_lines_of_the_json_are_not_cut(page, photo, model):
    model.more = many([[50.123, 100.123, 150.123, 300.123]])
    page.choose(photo)
    assert page.run("return $('json').scrollWidth <= $('json').clientWidth")


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
