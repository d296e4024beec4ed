"""How a detector is fine-tuned where nobody says how: the plan for one's own photos."""

import math

import keras

from keras_fpn.data.augment import RandomFlip
from keras_fpn.levels import ordered_names
from keras_fpn.training.plan import TrainingPlan
from keras_fpn.training.schedules import WarmupCosine, scaled_learning_rate
from keras_fpn.training.sgd import SGD
from keras_fpn.training.transfer import resized, with_classes

LEARNING_RATE = 0.02  # for 16 images per step
_STEPS = 2000  # what a few classes need; more photos need more:
_EPOCHS = (12, 100)  # passes over them, at least and at the most
_WARMUP = (0.1, 500)  # of all steps, and steps at the most
_FINAL_RATE = 0.01  # of the highest
_CLIP = 10.0  # norm of all gradients, far above that of usual steps
# Pixels of the images of a step, on each device: how much a step takes of a CPU's time,
# and of an accelerator's memory.
_CPU_PIXELS, _ACCELERATOR_PIXELS = 0.75e6, 6e6
_BATCH = (2, 16)  # images of a step on each device, at least and at the most
_EPOCH_STEPS = 16  # at least, where the photos suffice: few photos need many steps too
_USUAL_PROPORTION = 4 / 3
_PRETRAINED_NORMS = {"frozen_batch", "batch"}


def finetuning_plan(
    source,
    dataset,
    name="finetune",
    epochs=None,
    batch_size=None,
    learning_rate=None,
    min_size=None,
    max_size=None,
    replicas=1,
):
    """Returns the `TrainingPlan` that fine-tunes a detector on a data set.

    What is not said is chosen by the photos' number and size, and by the detector: SGD
    with a cosine after a warm-up, clipped gradients and flips; the stem and C2 frozen
    where the backbone's batch norms come from a larger data set.

    Args:
        source: `keras_fpn.models.FasterRCNN` to start from; see `with_classes`.
        dataset: `keras_fpn.data.Dataset` to train on.
        name: str, the plan's.
        epochs: int; None, such that there are 2000 steps, but 12 to 100 epochs.
        batch_size: int, images per step over all replicas; None, see
            `default_batch_size`.
        learning_rate: float, for this batch size; None, 0.02 for 16 images, and in
            proportion.
        min_size, max_size: int, pixels; None, as the source resizes its photos.
        replicas: int, devices that share a batch.

    Raises:
        ValueError: no photo shows an object, or a number is out of its range.
    """
    if not any(len(photo.objects) for photo in dataset.photos):
        raise ValueError(
            "Photos to train on must show objects; received the data set "
            f"{dataset.name!r}, {len(dataset)} photos without any. Look at it: "
            "keras-fpn data check."
        )
    preprocessing = resized(source.preprocessing, min_size, max_size)
    if batch_size is None:
        batch_size = default_batch_size(preprocessing, len(dataset), replicas)
    if epochs is None:
        epochs = default_epochs(len(dataset), batch_size)
    if learning_rate is None:
        learning_rate = scaled_learning_rate(LEARNING_RATE, batch_size)

    def build(class_names, category_ids):
        return with_classes(source, class_names, category_ids, preprocessing)

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


def default_batch_size(preprocessing, photos, replicas=1, accelerated=None):
    """Returns how many images a step takes, int, a multiple of the replicas.

    A power of two for each, 2 to 16, the more the smaller the images are; few on a CPU,
    whose steps would take too long otherwise, and of few photos.

    Args:
        preprocessing: `keras_fpn.preprocessing.Preprocessing`.
        photos: int, of the data set.
        replicas: int.
        accelerated: bool, whether there is a GPU or TPU; None, as Keras sees it.
    """
    if accelerated is None:
        accelerated = has_accelerator()
    shorter, longest = preprocessing.min_size, preprocessing.max_size
    pixels = shorter * min(longest, shorter * _USUAL_PROPORTION)
    allowed = (_ACCELERATOR_PIXELS if accelerated else _CPU_PIXELS) / pixels
    allowed = min(allowed, photos / _EPOCH_STEPS / replicas)
    least, most = _BATCH
    return replicas * min(max(2 ** math.floor(math.log2(allowed)), least), most)


def default_epochs(photos, batch_size):
    """Returns how many epochs, int, make 2000 steps, but not under 12 or over 100."""
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
    """Returns "C2" where a backbone has it and comes with a larger data set's norms."""
    norms = {getattr(layer, "norm", None) for layer in backbone.layers}
    pretrained = bool(norms & _PRETRAINED_NORMS)
    return "C2" if pretrained and "C2" in ordered_names(backbone.output) else None
