"""Loads batches of training and evaluation data: NumPy arrays, without TensorFlow."""

import collections
import dataclasses
import threading
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_fpn.data.augmented_photos import AugmentedPhotos
from keras_fpn.data.batch_shapes import common_shape, parse_shapes
from keras_fpn.data.batches import (
    Batch,
    input_sizes,
    object_counts,
    padded_counts,
    plan_epoch,
)
from keras_fpn.data.buffers import Buffers
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.mask_crops import CROP_SIDE, mask_crops
from keras_fpn.data.pixel_labels import IGNORED
from keras_fpn.data.proposals import most_proposals
from keras_fpn.data.sample import resize_sample
from keras_fpn.data.worker_rows import WorkerRows
from keras_fpn.preprocessing import Preprocessing

_MAX_ID = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of an array in a batch.

    Attributes:
        shape: tuple of ints, None for a dimension that varies from batch to batch.
        dtype: str.
    """

    shape: tuple
    dtype: str


class Loader:
    """Makes batches of a data set: reads, augments, resizes and pads its photos.

    The content of a batch depends only on the seed, the epoch and the batch. Every
    epoch has the same number of batches.

    Photos are resized as for detection, after all augmentations except
    `LargeScaleJitter`, which resizes itself. With `MultiScale`, each batch takes one
    length at random for all of its photos: so shapes are known before a photo is read,
    and a batch of small images is not padded to the size of a large one. An image that
    a crop has made too high or too wide for its batch is resized to fit.

    Args:
        dataset: `keras_fpn.data.Dataset`.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`, of the detector.
        batch_size: int, B, photos per batch.
        augment: augmentations, such as `RandomFlip`, in the order of their use.
            `CopyPaste` gets another photo of the data set, to which those before it
            were applied.
        seed: int, random seed.
        shuffle: bool, whether to shuffle the photos, differently in each epoch.
        shapes: None, each batch is as high and wide as its largest photo needs;
            "buckets", three shapes (of every scale) for photos of different
            proportions; or a list of (H, W), pixels.
        max_objects: int, G; photos with more keep the largest. None, as many as all
            photos need after augmentation; with masks, whose padding is large, G is the
            smallest of up to 4 sizes that all photos of the batch need.
        masks: bool, whether to load masks, as crops; see `mask_crops`.
        semantic: bool, whether to load semantic maps; see
            `keras_fpn.data.pixel_labels`.
        on_error: "stop", a photo that cannot be read raises; "skip", it is named in a
            warning and in `skipped`, and an empty image of weight 0 takes its place;
            "drop", as "skip", and in later epochs it is not tried again.
        fill: bool, whether incomplete batches are completed with photos of weight 0,
            which they have already.

    Attributes:
        image_shape: (H, W) of all images; a side that varies is None.
        max_objects: int, the largest G.
        max_proposals: int, R, proposals of each image; None if the data set has none.

    Raises:
        ValueError: an argument is out of its range; there is no photo; two photos have
            one id, or one beyond 32 bits; a photo fits no shape, or has no masks or no
            pixel labels.
    """

    def __init__(
        self,
        dataset: Dataset,
        preprocessing: Preprocessing,
        batch_size: int,
        augment=(),
        seed: int = 0,
        shuffle: bool = False,
        shapes=None,
        max_objects: int | None = None,
        masks: bool = False,
        on_error: str = "stop",
        fill: bool = False,
        semantic: bool = False,
    ):
        self.dataset, self.preprocessing = dataset, preprocessing
        self.batch_size, self.augment = batch_size, tuple(augment)
        self.seed, self.shuffle, self.fill = seed, shuffle, fill
        self.masks, self.semantic = masks, semantic
        _check_photos(dataset)
        self._buffers = Buffers()
        self._photos = AugmentedPhotos(
            dataset, self.augment, seed, masks, on_error, semantic
        )
        self._inputs = input_sizes(dataset, preprocessing, self.augment)
        sizes, divisor = self._inputs.sizes, preprocessing.size_divisor
        self.shapes = parse_shapes(shapes, sizes, divisor)
        self.image_shape = common_shape(self.shapes, sizes, divisor)
        if max_objects is None:
            counts = object_counts(dataset, self.augment)
            self._counts = padded_counts(counts, few=masks)
        else:
            _check_max_objects(max_objects, dataset)
            self._counts = np.full(len(dataset), max_objects)
        self.max_objects = int(self._counts.max())
        self.max_proposals = most_proposals(dataset)
        self._plans: dict[int, list[Batch]] = {}  # of the last epochs asked for
        self._lock = threading.Lock()
        self._length = len(self.batches(0))

    @property
    def skipped(self) -> dict[int, str]:
        """dict, image id -> str: photos that could not be read so far, and why."""
        return self._photos.skipped

    def drop(self, skipped: Mapping[int, str]) -> None:
        """Skips photos from now on if on_error is "drop", as if they were met before.

        Args:
            skipped: image id -> why, as of `skipped` of another process. Ids that no
                photo has are ignored.
        """
        own = {photo.image_id for photo in self.dataset.photos}
        kept = {image_id: why for image_id, why in skipped.items() if image_id in own}
        self._photos.skipped.update(kept)

    def __len__(self) -> int:
        """Returns the number of batches in an epoch."""
        return self._length

    def batches(self, epoch: int) -> list[Batch]:
        """Returns the list of the batches of an epoch, not loaded yet."""
        with self._lock:
            if epoch not in self._plans:
                plan = plan_epoch(
                    self._inputs.sizes,
                    self.batch_size,
                    self.shapes,
                    self.seed,
                    epoch,
                    self.shuffle,
                    self.fill,
                    self.preprocessing.size_divisor,
                    self._counts,
                )
                self._plans = {**dict(list(self._plans.items())[-1:]), epoch: plan}
            return self._plans[epoch]

    def load(self, batch: Batch, epoch: int) -> tuple[dict, dict, Any]:
        """Loads a batch.

        Args:
            batch: `Batch`, of `batches(epoch)`.
            epoch: int.

        Returns:
            x: dict of "images", float32 (B, H, W, 3), 0..255, RGB, 0 in the padding;
                "image_sizes", float32 (B, 2), height and width without the padding; if
                the data set has them "proposals", float32 (B, R, 4), xyxy, input
                pixels, 0 in padding.
            y: dict of "boxes", float32 (B, G, 4), xyxy, input pixels, 0 in padding;
                "labels", int32 (B, G), -1 in padding; "is_crowd", bool (B, G);
                "image_ids", int32 (B,), -1 for one of weight 0; "photo_sizes", int32
                (B, 2), height and width of the photo; if asked for "masks", uint8
                (B, G, 56, 56), coverage, 0..255, within "mask_windows", float32
                (B, G, 4), xyxy, input pixels, both 0 in padding; if asked for
                "semantic_map", uint8 (B, H, W), 255 in padding; if the data set has
                them "keypoints", float32 (B, G, J, 3), x, y, visibility.
            sample_weight: float32 (B,), 0 for pixels that complete the batch and for an
                empty image, otherwise 1.

        Raises:
            ValueError: a photo cannot be read and on_error is "stop".
        """
        arrays = self.blank(batch)
        for slot in range(len(batch.indices)):
            self.load_into(arrays, slot, batch, epoch)
        return arrays

    def for_fit(
        self,
        epochs: int = 1,
        first_epoch: int = 0,
        start_batch: int = 0,
        workers: int | None = None,
        share: tuple[int, int] = (0, 1),
    ):
        """Returns the batches, epoch after epoch, as `fit` takes them on this backend.

        Args:
            epochs, first_epoch, start_batch, workers: see `stream_batches`.
            share: (i, n), only share i of the n equal shares of each batch, for one of
                several machines.

        Returns:
            `tf.data.Dataset` on TensorFlow, otherwise `LoaderSequence`.

        Raises:
            ValueError: an argument is out of its range.
        """
        loader = self if share == (0, 1) else WorkerRows(self, *share)
        if keras.backend.backend() == "tensorflow":
            from keras_fpn.data.tensorflow_loop import tensorflow_dataset as batches
        else:
            from keras_fpn.data.pydataset import LoaderSequence as batches
        return batches(loader, epochs, first_epoch, start_batch, workers)

    def specs(self) -> tuple[dict, dict, ArraySpec]:
        """Returns x, y and sample_weight with an `ArraySpec` for each array."""
        batch = self.batch_size if self.fill else None
        varies = self._counts.min() < self.max_objects
        objects = (batch, None if varies else self.max_objects)
        return self._arranged(objects, self.image_shape, ArraySpec, ArraySpec)

    def blank(self, batch: Batch) -> tuple[dict, dict, Any]:
        """Returns a batch without objects; the values of its images are arbitrary."""
        objects = (len(batch.indices), batch.max_objects or self.max_objects)
        new_images = self._buffers.array
        x, y, weight = self._arranged(objects, batch.shape, np.zeros, new_images)
        x["image_sizes"][:] = batch.shape
        y["photo_sizes"][:] = batch.shape
        y["labels"][:] = y["image_ids"][:] = -1
        if self.semantic:
            y["semantic_map"][:] = IGNORED
        return x, y, weight

    def load_into(self, arrays, slot: int, batch: Batch, epoch: int) -> None:
        """Loads one photo into a batch, or the pixels of one that complete it.

        A photo that cannot be read becomes an empty image.

        Args:
            arrays: what `blank` returned.
            slot: int, 0..B-1, index of the photo in the batch.
            batch, epoch: see `load`.
        """
        x, y, weight = arrays
        index = batch.indices[slot]
        fills = index < 0
        sample = self._photos.sample(~index if fills else index, epoch)
        if sample is None:
            x["images"][slot] = 0
            return
        if self._inputs.limits:
            size = sample["image"].shape[:2]
            size = self._inputs.fitted(size, batch.scale, batch.shape)
            sample = resize_sample(sample, size, self.preprocessing.resize)
        height, width = sample["image"].shape[:2]
        image = x["images"][slot]
        image[:height, :width] = sample["image"]
        image[:height, width:] = 0
        image[height:] = 0
        x["image_sizes"][slot] = height, width
        if fills:
            return
        y["image_ids"][slot] = sample["image_id"]
        y["photo_sizes"][slot] = sample["photo_size"]
        rows = _largest(sample, y["labels"].shape[1])
        for name in ("boxes", "labels", "is_crowd", "keypoints"):
            if name in y and name in sample:
                y[name][slot, : len(rows)] = sample[name][rows]
        if self.masks:
            crops, windows = mask_crops(sample["masks"][rows], sample["boxes"][rows])
            y["masks"][slot, : len(rows)] = crops
            y["mask_windows"][slot, : len(rows)] = windows
        if self.semantic:
            y["semantic_map"][slot, :height, :width] = sample["semantic_map"]
        if self.max_proposals is not None:
            proposals = sample["proposals"][: self.max_proposals]
            x["proposals"][slot, : len(proposals)] = proposals
        weight[slot] = 1

    def _arranged(self, objects, shape, make, make_images):
        """Returns x, y and sample_weight of make(array shape, dtype).

        Args:
            objects: (B, G).
            shape: (H, W).
        """
        batch = objects[0]
        x = {
            "images": make_images((batch, *shape, 3), "float32"),
            "image_sizes": make((batch, 2), "float32"),
        }
        if self.max_proposals is not None:
            x["proposals"] = make((batch, self.max_proposals, 4), "float32")
        y = {
            "boxes": make((*objects, 4), "float32"),
            "labels": make(objects, "int32"),
            "is_crowd": make(objects, "bool"),
            "image_ids": make((batch,), "int32"),
            "photo_sizes": make((batch, 2), "int32"),
        }
        if self.masks:
            y["masks"] = make((*objects, CROP_SIDE, CROP_SIDE), "uint8")
            y["mask_windows"] = make((*objects, 4), "float32")
        if self.semantic:
            y["semantic_map"] = make((batch, *shape), "uint8")
        if self.dataset.keypoint_names:
            joints = len(self.dataset.keypoint_names)
            y["keypoints"] = make((*objects, joints, 3), "float32")
        return x, y, make((batch,), "float32")


def _largest(sample, count):
    """Returns int, at most `count` rows of the objects: crowd regions go first."""
    boxes = sample["boxes"]
    if len(boxes) <= count:
        return np.arange(len(boxes))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    order = np.lexsort((-areas, sample["is_crowd"]))
    return np.sort(order[:count])


def _check_max_objects(max_objects, dataset):
    """Raises for a G that is too small, warns where photos have more objects."""
    if max_objects < 1:
        raise ValueError(
            f"max_objects must be at least 1; received max_objects={max_objects}."
        )
    counts = np.array([len(photo.objects) for photo in dataset.photos])
    if counts.max() > max_objects:
        warnings.warn(
            f"{(counts > max_objects).sum()} photos have more objects, up to "
            f"{counts.max()}, than max_objects={max_objects}: their smallest are left "
            "out.",
            stacklevel=3,
        )


def _check_photos(dataset):
    """Raises for a data set without photos, or with ids that are not usable."""
    if len(dataset) == 0:
        raise ValueError(
            f"There must be at least one photo; received the data set {dataset.name!r} "
            "with none."
        )
    ids = [photo.image_id for photo in dataset.photos]
    if len(set(ids)) < len(ids):
        repeated = next(
            id for id, count in collections.Counter(ids).items() if count > 1
        )
        raise ValueError(
            "Every photo must have an image id of its own; received several of "
            f"image_id={repeated}."
        )
    if min(ids) < 0 or max(ids) > _MAX_ID:
        raise ValueError(
            f"Image ids must be integers from 0 to {_MAX_ID}, because batches hold "
            f"them as int32; received {min(ids)} to {max(ids)}. Renumber the photos."
        )
