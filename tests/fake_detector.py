"""A detector that is none, and photos for it to detect in."""

import numpy as np
import pytest
from PIL import Image


class FakeDetector:
    """Finds one object per photo, whose box is the photo without its last column."""

    class_names = ("cat", "dog")
    category_ids = (17, 18)
    class_agnostic = False
    stuff_set = None

    def __init__(self):
        self.calls = []

    def detect(self, images, **limits):
        self.calls.append((images, limits))
        if images[0].shape[1] == 13:
            raise ValueError("Both sides must be at least 1 pixel; received\nsize=13.")
        height, width = images[0].shape[:2]
        return [
            {
                "boxes": np.array([[0, 0, width - 1, height]], np.float32),
                "labels": np.array([1], np.int32),
                "scores": np.array([0.9], np.float32),
            }
        ]


@pytest.fixture
def folder(tmp_path):
    """A folder of two photos, a damaged one, a text, a hidden file and a folder."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name, size in (("b.jpg", (30, 20)), ("a.png", (40, 50)), (".c.jpg", (9, 9))):
        Image.new("RGB", size, (90, 60, 30)).save(folder / name)
    Image.new("RGB", (9, 9)).save(folder / "below" / "d.jpg")
    (folder / "broken.JPG").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.fixture
def detector():
    """FakeDetector."""
    return FakeDetector()
