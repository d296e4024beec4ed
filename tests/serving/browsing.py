"""The page of `keras-fpn serve` in a browser, as a person uses it."""

import contextlib
import json
import os
import shutil
import socket

import numpy as np
import pytest
from serving.conftest import encoded

from keras_fpn.serving.request_queue import Limits, RequestQueue
from keras_fpn.serving.rest_server import RestContent, RestServer

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


@contextlib.contextmanager
def open_browser():
    """Yields Chromium without a window; where there is none, the tests are skipped."""
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
