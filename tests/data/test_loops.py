"""The loops: the same batches from threads, tf.data and PyDataset, from anywhere on."""

import dataclasses
import itertools
import threading
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from data.painted import SMALL, check_same, painted_dataset
from models.tiny import tiny_detector

from keras_fpn.data import (
    CopyPaste,
    MultiScale,
    Photometric,
    RandomFlip,
    SafeCrop,
)
from keras_fpn.data.loader import Loader
from keras_fpn.data.pydataset import LoaderSequence
from keras_fpn.data.stream import StreamedBatches, stream_batches

AUGMENT = (RandomFlip(), SafeCrop(), CopyPaste(), Photometric())
OPTIONS = {
    "shapes": [(64, 64)],
    "shuffle": True,
    "max_objects": 4,
    "masks": True,
    "fill": True,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return painted_dataset(tmp_path_factory.mktemp("painted"), joints=1)


@pytest.fixture(scope="module")
def loader(dataset):
    """Batches of one shape, for the sake of LoaderSequence under TensorFlow."""
    return Loader(dataset, SMALL, 3, AUGMENT, seed=5, **OPTIONS)


def by_hand(loader, epochs, first_epoch=0):
    """The batches of epochs, loaded one after the other without any loop."""
    return [
        loader.load(batch, epoch)
        for epoch in range(first_epoch, first_epoch + epochs)
        for batch in loader.batches(epoch)
    ]


def from_tensorflow(loader, *place, **options):
    """tf.data's batches as NumPy arrays."""
    pytest.importorskip("tensorflow")
    from keras_fpn.data.tensorflow_loop import tensorflow_dataset

    return list(tensorflow_dataset(loader, *place, **options).as_numpy_iterator())


def from_sequence(loader, *place, **options):
    sequence = LoaderSequence(loader, *place, **options)
    return [sequence[index] for index in range(len(sequence))]


def check_all_same(batches, others):
    assert len(batches) == len(others)
    for one, other in zip(batches, others, strict=True):
        check_same(one, other)


@pytest.mark.parametrize("loop", [stream_batches, from_tensorflow, from_sequence])
def test_a_loop_yields_what_the_loader_loads(loader, loop):
    check_all_same(by_hand(loader, 2, 3), list(loop(loader, 2, 3)))


@pytest.mark.parametrize("loop", [stream_batches, from_tensorflow, from_sequence])
def test_a_restart_at_any_batch_goes_on_as_if_nothing_had_been(dataset, loader, loop):
    expected = by_hand(loader, 2, 1)
    for start in range(len(loader)):
        afresh = Loader(dataset, SMALL, 3, AUGMENT, seed=5, **OPTIONS)
        check_all_same(expected[start:], list(loop(afresh, 2, 1, start_batch=start)))


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_the_number_of_threads_changes_nothing(loader, workers):
    check_all_same(by_hand(loader, 1), list(stream_batches(loader, workers=workers)))


def test_shapes_may_differ_from_batch_to_batch(dataset):
    augment = [RandomFlip(), MultiScale((16, 32), 64)]
    loader = Loader(dataset, SMALL, 2, augment, shuffle=True, shapes="buckets")
    expected = by_hand(loader, 3)
    assert len({batch[0]["images"].shape for batch in expected}) > 2
    check_all_same(expected, list(stream_batches(loader, 3)))
    check_all_same(expected, from_tensorflow(loader, 3))


def test_a_stream_loads_ahead_but_not_far(loader, monkeypatch):
    begun = []
    monkeypatch.setattr(
        loader, "load_into", lambda arrays, slot, batch, epoch: begun.append(batch)
    )
    stream = stream_batches(loader, epochs=50, workers=2)
    for used in range(1, 20):
        next(stream)
        assert used * 3 <= len(begun) <= (used + 2) * 3
    stream.close()


def test_a_closed_stream_leaves_no_threads(loader):
    before = set(threading.enumerate())
    stream = stream_batches(loader, epochs=5, workers=4)
    next(stream)
    assert set(threading.enumerate()) - before
    stream.close()
    assert not set(threading.enumerate()) - before


def test_streamed_batches_may_be_asked_for_in_any_order(loader):
    expected = by_hand(loader, 3, 2)
    streamed = StreamedBatches(loader, 3, 2, 0, workers=2)
    for index in (0, 1, 8, 2, 3, 4, 4, 0):
        check_same(streamed[index], expected[index])


def test_streamed_batches_go_on_after_an_error(tmp_path):
    dataset = painted_dataset(tmp_path, [(40, 60)] * 4)
    dataset[1].path.write_bytes(b"no photo")
    loader = Loader(dataset, SMALL, 1)
    streamed = StreamedBatches(loader, 1, 0, 0, workers=1)
    for _ in range(2):
        streamed[0]
        with pytest.raises(ValueError, match=r"1\.png"):
            streamed[1]
    check_same(streamed[2], loader.load(loader.batches(0)[2], 0))


def test_a_sequence_may_begin_anew(loader):
    expected = by_hand(loader, 2, 2)
    sequence = LoaderSequence(loader, 2, 2)
    for index in (0, 1, 2, 3, 0, 0, 1):
        check_same(sequence[index], expected[index])


class ClosedByItsThread:
    """Stands for a loader, one of whose threads closes the stream that it reads for."""

    batch_size = 1

    def __init__(self):
        self.stream, self.errors = None, []
        self.known, self.closed = threading.Event(), threading.Event()

    def __len__(self):
        return 9

    def batches(self, epoch):
        return [SimpleNamespace(indices=(0,), number=n) for n in range(len(self))]

    def blank(self, batch):
        return batch.number

    def load_into(self, arrays, slot, batch, epoch):
        if batch.number == 1:
            self.known.wait(60)
            try:
                self.stream.close()
            except Exception as error:
                self.errors.append(error)
            self.closed.set()


def test_a_stream_may_be_collected_as_garbage_in_its_own_thread():
    loader = ClosedByItsThread()
    loader.stream = stream_batches(loader, workers=1)
    assert next(loader.stream) == 0
    loader.known.set()
    assert loader.closed.wait(60)
    assert loader.errors == []
    assert list(loader.stream) == []


def test_a_sequence_is_not_taken_out_of_order(loader):
    sequence = LoaderSequence(loader)
    with pytest.raises(ValueError, match=r"index=2 instead of 0. Pass shuffle=Fal"):
        sequence[2]
    sequence[0]
    with pytest.raises(ValueError, match="index=2 instead of 1"):
        sequence[2]
    check_same(sequence[1], loader.load(loader.batches(0)[1], 0))


@pytest.mark.parametrize("loop", [stream_batches, from_sequence])
def test_damage_in_the_middle_of_an_epoch_is_named(tmp_path, loop):
    dataset = painted_dataset(tmp_path, [(40, 60)] * 5)
    dataset[3].path.write_bytes(b"no photo")
    with pytest.raises(ValueError, match=r"3\.png \(image id 101\)"):
        list(loop(Loader(dataset, SMALL, 2)))
    skipping = Loader(dataset, SMALL, 2, on_error="skip")
    with pytest.warns(UserWarning, match=r"skipped: .*3\.png"):
        batches = list(loop(skipping))
    weights = np.concatenate([weight for _, _, weight in batches])
    np.testing.assert_array_equal(weights, [1, 1, 1, 0, 1])
    assert list(skipping.skipped) == [101]


def test_damage_stops_tensorflow_with_its_name(tmp_path):
    tf = pytest.importorskip("tensorflow")
    dataset = painted_dataset(tmp_path, [(40, 60)] * 5)
    dataset[3].path.write_bytes(b"no photo")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"3\.png \(image id 101\)"
    ):
        from_tensorflow(Loader(dataset, SMALL, 2))


def test_tensorflow_knows_shapes_and_length(loader):
    pytest.importorskip("tensorflow")
    from keras_fpn.data.tensorflow_loop import tensorflow_dataset

    dataset = tensorflow_dataset(loader, 4, start_batch=1)
    assert int(dataset.cardinality()) == 4 * len(loader) - 1
    x, y, weight = dataset.element_spec
    assert x["images"].shape == (3, 64, 64, 3)
    assert y["boxes"].shape == (3, 4, 4)
    assert weight.shape == (3,)
    dtypes = {spec.dtype.name for spec in y.values()}
    assert dtypes == {"float32", "int32", "bool", "uint8"}


class Recorder(keras.Model):
    """Keeps the image ids and the weights of the batches that `fit` hands it."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.seen = []

    def call(self, x):
        return keras.ops.mean(x["images"], axis=(1, 2, 3)) * self.scale

    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        ids = np.asarray(keras.ops.convert_to_numpy(y["image_ids"]))
        self.seen.append(ids.tolist())
        return keras.ops.sum(y_pred * sample_weight) * 0.0


@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
def test_fit_takes_epochs_in_order_and_evaluate_the_last_part(loader, kind):
    if kind == "tf.data":
        pytest.importorskip("tensorflow")
        from keras_fpn.data.tensorflow_loop import tensorflow_dataset as loop
    else:
        loop = LoaderSequence
    model = Recorder()
    model.compile(optimizer="sgd", run_eagerly=True)
    steps = len(loader)
    options = {"steps_per_epoch": steps, "shuffle": False, "verbose": 0}
    model.fit(loop(loader, 3, 1), epochs=3, **options)
    expected = [y["image_ids"].tolist() for _, y, _ in by_hand(loader, 3, 1)]
    assert model.seen[-len(expected) :] == expected
    assert len(set(itertools.chain(*expected))) == 8  # 7 photos, and -1
    model.seen.clear()
    model.evaluate(loop(loader, 1, 3), verbose=0)
    assert model.seen[-steps:] == expected[-steps:]


@pytest.mark.ci
def test_a_detector_trains_on_both_loops_alike(tmp_path):
    loops = [LoaderSequence]
    if keras.config.backend() == "tensorflow":  # compiling twice takes long on JAX
        from keras_fpn.data.tensorflow_loop import tensorflow_dataset

        loops.append(tensorflow_dataset)
    # Photos without objects, and a filler of weight 0, are among them.
    dataset = painted_dataset(tmp_path, counts=[0, 1, 0, 2, 1, 0, 2])
    histories = []
    for loop in loops:
        model = tiny_detector(num_classes=len(dataset.class_names))
        options = {"shapes": [(96, 160)], "shuffle": True, "fill": True}
        wide = dataset_of(dataset, [0, 3, 4, 6, 2])
        loader = Loader(wide, model.preprocessing, 2, [RandomFlip()], **options)
        model.compile(optimizer=keras.optimizers.SGD(0.001))
        steps = {"steps_per_epoch": len(loader), "shuffle": False, "verbose": 0}
        history = model.fit(loop(loader, epochs=2), epochs=2, **steps).history
        histories.append(history)
        assert np.isfinite(list(history.values())).all()
        assert min(history["class_loss"]) > 0
    for other in histories[1:]:
        assert histories[0].keys() == other.keys()
        for name, losses in histories[0].items():
            # The batches are bit-equal (see above); the order in which threads add is
            # not, and by the second epoch it has moved a proposal now and then.
            first, second = np.transpose([losses, other[name]])
            np.testing.assert_allclose(*first, rtol=1e-4, err_msg=name)
            np.testing.assert_allclose(*second, rtol=1e-2, err_msg=name)


def dataset_of(dataset, places):
    photos = tuple(dataset[place] for place in places)
    return dataclasses.replace(dataset, photos=photos)


@pytest.mark.tensorflow_only
def test_sequences_of_several_shapes_are_refused_under_tensorflow(dataset):
    with pytest.raises(ValueError, match=r"received images \(None, None, 3\) and box"):
        LoaderSequence(Loader(dataset, SMALL, 2))
    loader = Loader(dataset, SMALL, 2, shapes=[(64, 64)], masks=True)
    with pytest.raises(ValueError, match=r"\(64, 64, 3\) and boxes \(None, 4\).*max_o"):
        LoaderSequence(loader)
    assert len(LoaderSequence(Loader(dataset, SMALL, 2, shapes=[(64, 64)]))) == 4


@pytest.mark.ci
@pytest.mark.tensorflow_only
def test_a_detector_traces_once_for_all_numbers_of_objects(tmp_path, monkeypatch):
    from keras_fpn.data import tensorflow_dataset

    dataset = painted_dataset(tmp_path, counts=[0, 1, 0, 2, 1, 0, 4])
    model = tiny_detector(num_classes=len(dataset.class_names))
    loader = Loader(dataset, model.preprocessing, 2, shapes=[(160, 160)], masks=True)
    assert len({batch.max_objects for batch in loader.batches(0)}) == 3
    traced, compute_loss = [], model.compute_loss

    def counting(x, y, *arguments, **options):
        traced.append(y["boxes"].shape)
        return compute_loss(x, y, *arguments, **options)

    monkeypatch.setattr(model, "compute_loss", counting)
    model.compile(optimizer=keras.optimizers.SGD(0.001))
    batches = tensorflow_dataset(loader)
    history = model.fit(batches, shuffle=False, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert [tuple(shape) for shape in traced] == [(None, None, 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "received epochs=0"),
        ({"first_epoch": -1}, "received first_epoch=-1"),
        ({"start_batch": 3}, "0 to 2; received start_batch=3"),
        ({"start_batch": -1}, "received start_batch=-1"),
        ({"workers": 0}, "received workers=0"),
    ],
)
def test_ranges_that_do_not_exist_are_refused(loader, options, message):
    with pytest.raises(ValueError, match=message):
        stream_batches(loader, **options)


def test_a_sequence_ends(loader):
    sequence = LoaderSequence(loader)
    for index in range(len(sequence)):
        sequence[index]
    with pytest.raises(IndexError, match="0 to 2; received index=3"):
        sequence[3]
