"""Writes the numbers and pictures of a training for TensorBoard; on TensorFlow only.

The package `tensorboard` is needed only to look at them.
"""

import contextlib
import io
import math
import os
import pathlib
import warnings
from typing import Any

import tensorflow as tf

from keras_fpn.files import printable
from keras_fpn.report.compared_photos import compared_photo, photos_to_compare
from keras_fpn.training.steps import RecentMeans, StepCallback, as_float, learning_rate

_JPEG = {"format": "JPEG", "quality": 85}  # a tenth of a PNG, for each of many epochs
_DATA_CLASSES = {"scalars": "DATA_CLASS_SCALAR", "images": "DATA_CLASS_BLOB_SEQUENCE"}


class TensorBoardLog(StepCallback):
    """Writes losses, the learning rate, validation numbers, and photos with boxes.

    Their x axis is the step of the training. Losses are written twice: `steps/...`,
    means of the last 50 steps, and `epochs/...`, means of an epoch. The photos are
    always the same: detections on the left, annotations on the right. Put it after the
    callbacks that measure.

    If it cannot write, for example because the disk is full, it warns once and stops
    writing, and the training continues.

    Use it in a `with` statement: an interrupted `fit` does not tell its callbacks.

    Args:
        folder: files are added to it.
        steps_per_epoch: of a whole epoch.
        start_step: steps that were taken before, by an earlier process.
        evaluation: `keras_fpn.metrics.CocoEvaluation`, whose detections are drawn;
            None, no photos.
        photos: how many.
        every: steps between two values of a loss.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        steps_per_epoch: int,
        start_step: int = 0,
        evaluation=None,
        photos: int = 4,
        every: int = 10,
    ):
        super().__init__(steps_per_epoch, start_step)
        self.folder = pathlib.Path(folder)
        self.evaluation, self.every = evaluation, every
        self._photos = []
        if evaluation is not None:
            self._photos = photos_to_compare(evaluation.loader.dataset, photos)
        self._recent = RecentMeans()
        self._writer: Any = None
        self._failed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the file."""
        with self._or_no_more():
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def on_train_begin(self, logs=None):
        with self._or_no_more():
            if self._writer is None and not self._failed:
                self._writer = tf.summary.create_file_writer(str(self.folder))
                self._writer.flush()

    def set_model(self, model):
        super().set_model(model)
        if getattr(model, "class_agnostic", False):  # too many boxes for a picture
            self._photos = []

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._recent.begin_epoch(self.step_of_epoch)

    def on_train_batch_end(self, batch, logs=None):
        before = self.step
        super().on_train_batch_end(batch, logs)
        means = self._recent.add(self.step_of_epoch, logs)
        if self.step // self.every > before // self.every:
            means = {f"steps/{name}": value for name, value in means.items()}
            means["learning_rate"] = learning_rate(self.model)
            self._write("scalars", _scalars(means))

    def on_epoch_end(self, epoch, logs=None):
        numbers = {n: as_float(value) for n, value in (logs or {}).items()}
        numbers = {f"epochs/{name}": value for name, value in numbers.items()}
        self._write("scalars", _scalars(numbers))
        for photo in self._photos if self._writer is not None else ():
            results, dataset = self.evaluation.results, self.evaluation.loader.dataset
            try:
                picture = compared_photo(photo, results, dataset)
            except ValueError:  # a damaged photo, of which the evaluation has warned
                continue
            name = printable(f"photos/{photo.image_id} {photo.path.name}")
            self._write("images", {name: _encoded(picture)})
        with self._or_no_more():
            if self._writer is not None:
                self._writer.flush()

    @contextlib.contextmanager
    def _or_no_more(self):
        """Within it the first failure to write ends all writing."""
        try:
            yield
        except (tf.errors.OpError, OSError) as error:
            self._writer, self._failed = None, True
            warnings.warn(
                f"Logs for TensorBoard end here; the training continues: {error}",
                stacklevel=3,
            )

    def _write(self, plugin, tensors):
        """Writes tensors, dict of name -> tensor, for one of TensorBoard's pages."""
        if self._writer is None:
            return
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin),
            data_class=_DATA_CLASSES[plugin],
        )
        with self._or_no_more(), self._writer.as_default():
            for name, tensor in tensors.items():
                tf.summary.write(name, tensor, self.step, metadata)


def _scalars(numbers):
    """Returns the finite ones of numbers, dict of name -> tensor."""
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    return {name: tf.constant(value, tf.float32) for name, value in finite.items()}


def _encoded(picture):
    """Returns width, height and JPEG of a picture, a tensor of strings."""
    buffer = io.BytesIO()
    picture.save(buffer, **_JPEG)
    width, height = (str(side).encode() for side in picture.size)
    return tf.constant([width, height, buffer.getvalue()])
