from types import SimpleNamespace

import pytest

from keras_fpn.training.stopping import StopTogether


@pytest.mark.parametrize(
    ("asked", "of_workers", "stops"),
    [(False, [0, 0], False), (False, [0, 1], True), (True, [1, 0], True)],
)
def test_one_worker_that_stops_stops_them_all(asked, of_workers, stops):
    given = []
    devices = SimpleNamespace(of_workers=lambda n: given.append(n) or of_workers)
    callback = StopTogether(devices)
    callback.set_model(SimpleNamespace(stop_training=asked))
    callback.on_epoch_end(0)
    assert callback.model.stop_training is stops
    assert given == [int(asked)]
