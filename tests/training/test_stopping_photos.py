import pathlib
from types import SimpleNamespace

import pytest

from keras_fpn.distribute.devices import Devices
from keras_fpn.training.stopping import StopWithoutPhotos


def loader_of(count, skipped=()):
    """A loader of `count` photos with image ids from 100 on."""
    photos = [
        SimpleNamespace(image_id=100 + i, path=pathlib.Path(f"p{i}.jpg"))
        for i in range(count)
    ]

    class Photos(list):
        photos = property(list)

    reasons = {100 + i: f"p{i}.jpg: it is cut." for i in skipped}
    return SimpleNamespace(dataset=Photos(photos), skipped=reasons)


def workers_of(*sets):
    """Devices of several workers, each of which has skipped some image ids."""

    class Workers:
        workers = len(sets)
        asked = 0

        def of_workers(self, number):
            self.asked += 1
            if self.asked == 1:
                assert number == len(sets[0])  # this worker is the first
                return [len(own) for own in sets]
            most = max(map(len, sets))
            rows = [[*own, *[-1] * (most - len(own))] for own in sets]
            column = [row[self.asked - 2] for row in rows]
            assert number == column[0]
            return column

    return Workers()


@pytest.mark.parametrize(
    ("count", "most"),
    [
        (1, 0),  # or nothing is left
        (2, 1),
        (50, 1),
        (100, 1),
        (199, 1),
        (200, 2),
        (12345, 123),
    ],
)
def test_one_percent_of_the_photos_or_one_of_few_may_be_unreadable(count, most):
    loader = loader_of(count, range(most))
    callback = StopWithoutPhotos(loader, Devices())
    callback.on_train_batch_end(0)
    callback.on_epoch_end(0)
    loader.skipped[100 + most] = "p.jpg: it is cut."
    message = rf"{count} photos .*at most {most} may .*received {most + 1}: p0\.jpg"
    for check in (callback.on_train_batch_end, callback.on_epoch_end):
        with pytest.raises(OSError, match=message):
            check(0)


def test_ten_are_named_and_the_last_reason():
    callback = StopWithoutPhotos(loader_of(20, range(13)), Devices())
    with pytest.raises(
        OSError, match=r": p0\.jpg, .*, p9\.jpg and 3 more\. The last"
    ) as e:
        callback.on_train_batch_end(0)
    assert "p10.jpg" not in str(e.value)
    assert "The last of them: p12.jpg: it is cut. Check the disk" in str(e.value)


def test_a_photo_that_is_read_again_does_not_count():
    loader = loader_of(20, [3, 4])
    del loader.skipped[103]
    StopWithoutPhotos(loader, Devices()).on_epoch_end(0)


def test_workers_end_together_after_an_epoch_at_the_photos_of_all():
    loader = loader_of(300, [0, 1])  # 3 may be unreadable
    devices = workers_of([100, 101], [100, 102, 103])
    callback = StopWithoutPhotos(loader, devices)
    callback.on_train_batch_end(0)
    assert devices.asked == 0  # the other workers might not answer
    with pytest.raises(OSError, match=r"received 4: p0.jpg, p1.jpg, p2.jpg, p3.jpg\."):
        callback.on_epoch_end(0)
    assert devices.asked == 1 + 3


def test_what_two_workers_have_met_counts_once():
    devices = workers_of([100, 101], [101, 100])
    StopWithoutPhotos(loader_of(300, [0, 1]), devices).on_epoch_end(0)
    assert devices.asked == 1 + 2


def test_a_worker_of_whose_photos_all_are_well_ends_with_the_others():
    devices = workers_of([], [100, 101])
    with pytest.raises(OSError, match=r"received 2: p0.jpg, p1.jpg\. .*another worker"):
        StopWithoutPhotos(loader_of(6), devices).on_epoch_end(0)


def test_workers_save_what_all_of_them_have_skipped():
    callback = StopWithoutPhotos(loader_of(300, [0]), workers_of([100], [103]))
    expected = {100: "p0.jpg: it is cut.", 103: "another worker said why."}
    assert callback.skipped() == expected


@pytest.mark.parametrize("others", [(), ([103],)])
def test_what_is_too_much_is_not_saved_as_left_out(others):
    """A resumed run would leave out so many, and end at once, wherever they are."""
    loader = loader_of(6, [0, 1])
    devices = workers_of([100, 101], *others) if others else Devices()
    with pytest.raises(OSError, match="at most 1 may be unreadable"):
        StopWithoutPhotos(loader, devices).skipped()


def test_workers_with_few_unreadable_photos_go_on():
    devices = workers_of([100], [])
    StopWithoutPhotos(loader_of(6, [0]), devices).on_epoch_end(0)
    assert devices.asked == 1 + 1
