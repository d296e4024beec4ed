"""Photos are read again where an error of the disk or the network may pass."""

import errno
import types

import pytest

from keras_fpn.data import augmented_photos
from keras_fpn.data.augmented_photos import AugmentedPhotos

PHOTO = types.SimpleNamespace(image_id=7, path="a.jpg")


@pytest.fixture
def reading(monkeypatch):
    """Function (errors) -> what a photo becomes, how often it was read, pauses."""

    def read(errors, on_error="skip"):
        left, pauses = list(errors), []

        def load(photo, masks, semantic):
            if left:
                raise left.pop(0)
            return "sample"

        monkeypatch.setattr(augmented_photos, "load_sample", load)
        monkeypatch.setattr(augmented_photos.time, "sleep", pauses.append)
        photos = AugmentedPhotos([PHOTO], (), 0, False, on_error)
        return photos.sample(0, 0), len(errors) - len(left), pauses

    return read


def damaged(number):
    """The error of a reader whose disk or network failed."""
    error = ValueError("cannot be read")
    error.__cause__ = OSError(number, "a reason")
    return error


def test_errors_that_pass_cost_only_time(reading):
    errors = [OSError(errno.EIO, "disk"), damaged(errno.ESTALE)]
    assert reading(errors) == ("sample", 2, [0.2, 1.0])


def test_a_photo_that_stays_unreadable_is_skipped(reading):
    with pytest.warns(UserWarning, match=r"skipped: a\.jpg \(image id 7\): cannot"):
        found = reading([damaged(errno.EIO)] * 4)
    assert found == (None, 4, [0.2, 1.0, 5.0])


@pytest.mark.parametrize(
    "error", [ValueError("not an image"), damaged(errno.ENOENT), OSError("truncated")]
)
def test_other_errors_are_not_waited_for(reading, error):
    with pytest.warns(UserWarning, match="skipped"):
        assert reading([error]) == (None, 1, [])
    with pytest.raises(ValueError, match="skip such photos with on_error='skip'"):
        reading([error], on_error="stop")


@pytest.mark.parametrize(("on_error", "again"), [("skip", "sample"), ("drop", None)])
def test_a_photo_that_was_skipped_is_read_again_or_dropped(
    monkeypatch, on_error, again
):
    errors = [ValueError("it is cut")]

    def load(*_):
        if errors:
            raise errors.pop()
        return "sample"

    monkeypatch.setattr(augmented_photos, "load_sample", load)
    photos = AugmentedPhotos([PHOTO], (), 0, False, on_error)
    with pytest.warns(UserWarning, match="it is cut"):
        assert photos.sample(0, 0) is None
    assert photos.sample(0, 1) == again
    assert list(photos.skipped) == ([] if again else [7])
