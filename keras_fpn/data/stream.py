"""Loads batches ahead of their use, with threads; all loops use it."""

import collections
import concurrent.futures
import os
import threading
from collections.abc import Iterator
from typing import Any

# Threads, not processes: Pillow and NumPy release Python's global lock, and nothing has
# to be copied.
_THREAD = "keras_fpn_data"  # prefix of the names of threads


def stream_batches(
    loader,
    epochs: int = 1,
    first_epoch: int = 0,
    start_batch: int = 0,
    workers: int | None = None,
) -> Iterator:
    """Yields the batches of a loader, one epoch after the other.

    The photos of a batch are read in parallel, and the next batches while one is used.
    The number of threads does not change the batches.

    Args:
        loader: `Loader`.
        epochs: int, number of epochs, including the first even if it starts later.
        first_epoch: int, 0-based.
        start_batch: int, batches of the first epoch to skip, for a resumed run.
        workers: int, threads; None, one per CPU core.

    Returns:
        iterator over (x, y, sample_weight); see `Loader.load`. Closing it stops the
        threads.

    Raises:
        ValueError: an argument is out of its range; or, in use, `Loader.load` raises.
    """
    _check_range(loader, epochs, first_epoch, start_batch, workers)
    workers = cpu_count() if workers is None else workers
    plan = _plan(loader, epochs, first_epoch, start_batch)
    return _stream(loader, plan, workers)


class StreamedBatches:
    """The batches of a loader by index, loaded ahead if they are taken in order.

    Args:
        loader, epochs, first_epoch, start_batch, workers: see `stream_batches`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, loader, epochs, first_epoch, start_batch, workers):
        _check_range(loader, epochs, first_epoch, start_batch, workers)
        self._loader, self._workers = loader, workers
        self._first = first_epoch * len(loader) + start_batch
        self._end_epoch = first_epoch + epochs
        self._lock = threading.Lock()
        self._stream: Any = None
        self._next = None  # index of the batch that the stream yields next, if it does

    def __len__(self):
        return self._end_epoch * len(self._loader) - self._first

    def __getitem__(self, index):
        """Returns batch `index`, int, (x, y, sample_weight); see `Loader.load`."""
        if not 0 <= index < len(self):
            raise IndexError(
                f"Batches are numbered 0 to {len(self) - 1}; received index={index}."
            )
        with self._lock:
            if index != self._next:
                self._move_to(index)
            self._next = None  # if the next line raises, the stream has ended
            batch = next(self._stream)
            self._next = index + 1
            return batch

    def _move_to(self, index):
        """Restarts the stream at a batch."""
        if self._next is not None:
            self._stream.close()
        epoch, start = divmod(self._first + index, len(self._loader))
        self._stream = stream_batches(
            self._loader, self._end_epoch - epoch, epoch, start, self._workers
        )


def _check_range(loader, epochs, first_epoch, start_batch, workers):
    """Raises for epochs and batches that a loader does not have, and for no threads."""
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1; received epochs={epochs}.")
    if first_epoch < 0:
        raise ValueError(
            f"first_epoch must be at least 0; received first_epoch={first_epoch}."
        )
    if not 0 <= start_batch < len(loader):
        raise ValueError(
            f"start_batch must be the index of a batch, 0 to {len(loader) - 1}; "
            f"received start_batch={start_batch}. After the last batch comes "
            "batch 0 of the next epoch."
        )
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1; received workers={workers}.")


def cpu_count():
    """Returns the number of CPU cores that this process may use, int."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _plan(loader, epochs, first_epoch, start_batch):
    """Yields (batch, epoch) in order; an epoch is planned when it starts."""
    for epoch in range(first_epoch, first_epoch + epochs):
        for batch in loader.batches(epoch)[start_batch:]:
            yield batch, epoch
        start_batch = 0


def _stream(loader, plan, workers):
    """Yields the planned batches while the threads load the next ones."""
    pool = concurrent.futures.ThreadPoolExecutor(workers, _THREAD)
    started = collections.deque()
    # Enough photos for all threads, plus one batch, while another is used.
    ahead = -(-workers // loader.batch_size) + 1
    try:
        for batch, epoch in plan:
            arrays = loader.blank(batch)
            slots = range(len(batch.indices))
            tasks = [
                pool.submit(loader.load_into, arrays, slot, batch, epoch)
                for slot in slots
            ]
            started.append((arrays, tasks))
            if len(started) > ahead:
                yield _finished(*started.popleft())
        while started:
            yield _finished(*started.popleft())
    finally:
        # The stream may be garbage-collected in one of these threads, which cannot wait
        # for itself.
        in_pool = threading.current_thread().name.startswith(_THREAD)
        pool.shutdown(wait=not in_pool, cancel_futures=True)


def _finished(arrays, tasks):
    for task in tasks:
        task.result()  # raises the error of the thread, that of the first photo first
    return arrays
