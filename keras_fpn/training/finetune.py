"""The default plan of fine-tuning: what is chosen by the photos and the detector."""

import math

import keras

from keras_fpn.data import Dataset, RandomFlip
from keras_fpn.data.semantic import check_labeled, classes_for, labels_pixels
from keras_fpn.levels import ordered_names
from keras_fpn.models.keypoint_set import keypoint_set
from keras_fpn.models.stuff_set import StuffSet
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training.plan import TrainingPlan
from keras_fpn.training.schedules import WarmupCosine, scaled_learning_rate
from keras_fpn.training.sgd import SGD
from keras_fpn.training.transfer import resized, with_classes

LEARNING_RATE = 0.02  # for 16 images per step
_STEPS = 2000  # enough for a few classes; more photos need more steps:
_EPOCHS = (12, 100)  # passes over them, minimum and maximum
_WARMUP = (0.1, 500)  # share of all steps, and maximum number of steps
_FINAL_RATE = 0.01  # of the highest
_CLIP = 10.0  # norm of all gradients, far above that of usual steps
# Pixels of all images of a step on one device: limits the time of a step on a CPU, and
# the memory on an accelerator.
_CPU_PIXELS, _ACCELERATOR_PIXELS = 0.75e6, 6e6
_BATCH = (2, 16)  # images of a step on one device, minimum and maximum
_EPOCH_STEPS = 16  # minimum, if the photos suffice: few photos need many steps too
_USUAL_PROPORTION = 4 / 3
_PRETRAINED_NORMS = {"frozen_batch", "batch"}


def finetuning_plan(
    source,
    dataset: Dataset,
    name: str = "finetune",
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    replicas: int = 1,
):
    """Returns the `TrainingPlan` that fine-tunes a detector on a data set.

    Arguments that are None are chosen by the number and size of the photos and by the
    detector. The plan is SGD with a cosine after a warm-up, clipped gradients and
    flips; the stem and C2 are frozen if the backbone's batch norms come from a larger
    data set.

    Args:
        source: `keras_fpn.models.Detector` to start from; see
            `keras_fpn.training.transfer.with_classes`.
        dataset: to train on.
        name: of the plan.
        epochs: None, as many as make 2000 steps, but 12 to 100.
        batch_size: images per step over all replicas; None, see `default_batch_size`.
        learning_rate: for this batch size; None, 0.02 for 16 images, and in
            proportion for others.
        min_size, max_size: pixels; None, as the source resizes its photos.
        replicas: devices that share a batch.

    Raises:
        ValueError: no photo shows an object or has pixel labels, the detector is
            trained on masks or semantic maps and a photo has none, or a number is out
            of its range.
    """
    bare = not any(len(photo.objects) for photo in dataset.photos)
    if bare and not dataset.has_semantic:
        raise ValueError(
            "Photos to train on must show objects; received the data set "
            f"{dataset.name!r}, {len(dataset)} photos without any. Look at it with "
            "keras-fpn data check."
        )
    if "masks" in source.targets:
        _check_masks(source, dataset)
    check_labeled(source, dataset)
    preprocessing = resized(source.preprocessing, min_size, max_size)
    if batch_size is None:
        batch_size = default_batch_size(preprocessing, len(dataset), replicas)
    if epochs is None:
        epochs = default_epochs(len(dataset), batch_size)
    if learning_rate is None:
        learning_rate = scaled_learning_rate(LEARNING_RATE, batch_size)

    keypoints = None
    if source.keypoint_set is not None and dataset.keypoint_names:
        keypoints = keypoint_set(
            dataset.keypoint_names, dataset.flip_pairs, dataset.skeleton
        )
    stuff = None
    if source.stuff_set is not None:
        stuff = StuffSet(dataset.stuff_names, dataset.stuff_ids)

    def build(class_names, category_ids):
        if labels_pixels(source):
            class_names, category_ids = classes_for(source, dataset)
        classes = class_names, category_ids
        return with_classes(source, *classes, preprocessing, keypoints, stuff)

    return TrainingPlan(
        name=name,
        build=build,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=_schedule,
        optimizer=_optimizer,
        epochs=epochs,
        augment=(RandomFlip(flip_pairs=dataset.flip_pairs),),
        shapes="buckets",
        frozen_through=_frozen_through(source.backbone),
    )


def _check_masks(source, dataset):
    """Raises an error if a photo shows objects and has no masks."""
    bare = dataset.photos_without_masks
    if bare:
        raise ValueError(
            f"{type(source).__name__} must be trained on photos with masks; received "
            f"the data set {dataset.name!r}, where {len(bare)} of {len(dataset)} have "
            f"boxes only, such as {bare[0].path}. Start from a detector of boxes, "
            "such as a FasterRCNN, or leave those photos out."
        )


def default_batch_size(
    preprocessing: Preprocessing,
    photos: int,
    replicas: int = 1,
    accelerated: bool | None = None,
):
    """Returns how many images a step takes, int, a multiple of the replicas.

    For each replica a power of two, 2 to 16: more for smaller images; fewer on a CPU,
    where a step would take too long, and for few photos.

    Args:
        preprocessing: of the detector.
        photos: number of photos in the data set.
        replicas: devices that share a batch.
        accelerated: whether there is a GPU or TPU; None, as Keras finds it.
    """
    if accelerated is None:
        accelerated = has_accelerator()
    shorter, longest = preprocessing.min_size, preprocessing.max_size
    pixels = shorter * min(longest, shorter * _USUAL_PROPORTION)
    allowed = (_ACCELERATOR_PIXELS if accelerated else _CPU_PIXELS) / pixels
    allowed = min(allowed, photos / _EPOCH_STEPS / replicas)
    least, most = _BATCH
    return replicas * min(max(2 ** math.floor(math.log2(allowed)), least), most)


def default_epochs(photos: int, batch_size: int):
    """Returns how many epochs make 2000 steps, int, 12 to 100."""
    least, most = _EPOCHS
    return min(max(-(-_STEPS // -(-photos // batch_size)), least), most)


def has_accelerator():
    """Returns whether Keras computes on a GPU or TPU, bool."""
    names = keras.distribution.list_devices()
    return not all(name.startswith("cpu") for name in names)


def _schedule(learning_rate, steps_per_epoch, total_steps):
    share, most = _WARMUP
    warmup = min(round(share * total_steps), most)
    return WarmupCosine(learning_rate, total_steps, _FINAL_RATE, warmup)


def _optimizer(rate):
    return SGD(rate, momentum=0.9, weight_decay=1e-4, global_clipnorm=_CLIP)


def _frozen_through(backbone):
    """Returns "C2" if the backbone has it and its norms come from a larger data set."""
    norms = {getattr(layer, "norm", None) for layer in backbone.layers}
    pretrained = bool(norms & _PRETRAINED_NORMS)
    return "C2" if pretrained and "C2" in ordered_names(backbone.output) else None
