"""The rows that one of several workers loads, and the whole batches they make up."""

import keras
import numpy as np
import pytest
from data.painted import SMALL, flat, painted_dataset

from keras_fpn.data import CopyPaste, MultiScale, RandomFlip
from keras_fpn.data.loader import Loader
from keras_fpn.data.stream import stream_batches
from keras_fpn.data.worker_rows import WorkerRows

AUGMENT = (RandomFlip(), CopyPaste(), MultiScale((16, 32), 64))


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    """Batches of 6 of 7 photos: shapes differ, and the last one is mostly filled up."""
    dataset = painted_dataset(tmp_path_factory.mktemp("painted"))
    options = {"shuffle": True, "fill": True, "masks": True}
    return Loader(dataset, SMALL, 6, AUGMENT, seed=2, **options)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_all_workers_rows_are_the_whole_batch(loader, workers):
    parts = [WorkerRows(loader, worker, workers) for worker in range(workers)]
    streams = [stream_batches(part, epochs=2, first_epoch=1) for part in parts]
    wholes = list(stream_batches(loader, epochs=2, first_epoch=1))
    assert len({whole[1]["boxes"].shape[1] for whole in wholes}) > 1
    assert len({whole[0]["images"].shape for whole in wholes}) > 1
    for whole, *rows in zip(wholes, *streams, strict=True):
        together = [flat(part) for part in rows]
        for name, expected in flat(whole).items():
            joined = np.concatenate([part[name] for part in together])
            np.testing.assert_array_equal(joined, expected, err_msg=name)


def test_a_worker_reads_photos_of_others_only_to_complete_a_batch(loader, monkeypatch):
    read, sample = [], loader._photos.sample
    monkeypatch.setattr(
        loader._photos,
        "sample",
        lambda index, epoch: read.append(index) or sample(index, epoch),
    )
    list(stream_batches(WorkerRows(loader, 1, 3)))
    expected = [batch.indices[2:4] for batch in loader.batches(0)]
    own = [i for rows in expected for i in rows if i >= 0]
    fillers = [~i for rows in expected for i in rows if i < 0]
    assert sorted(read) == sorted(own + fillers)
    assert (len(own), len(fillers)) == (2, 2)


def test_shapes_and_length_are_known_beforehand(loader):
    rows = WorkerRows(loader, 0, 2)
    assert len(rows) == len(loader) == 2
    assert rows.batch_size == 3
    x, y, weight = rows.specs()
    assert x["images"].shape == (3, *loader.image_shape, 3)
    assert y["boxes"].shape == (3, None, 4)  # G varies from batch to batch
    assert weight.shape == (3,)
    assert y["is_crowd"].dtype == "bool"


def test_a_loader_gives_fit_one_share_of_each_batch(tmp_path):
    dataset = painted_dataset(tmp_path)  # one shape, which LoaderSequence wants
    loader = Loader(dataset, SMALL, 6, seed=2, shapes=[(64, 64)], fill=True)
    fed = loader.for_fit(
        epochs=2, first_epoch=1, start_batch=1, workers=1, share=(1, 2)
    )
    expected = list(stream_batches(WorkerRows(loader, 1, 2), 2, 1, 1))
    found = [fed[i] for i in range(len(fed))] if hasattr(fed, "__getitem__") else fed
    for received, batch in zip(found, expected, strict=True):
        received = keras.tree.map_structure(np.asarray, received)
        for name, value in flat(batch).items():
            np.testing.assert_array_equal(flat(received)[name], value, err_msg=name)
