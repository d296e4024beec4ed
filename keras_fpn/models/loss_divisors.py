"""By how many positives the losses of a dense head are divided.

A divisor is called with the number of positives of each image, and returns the weight
of each image in the sums, and the count by which the sums are divided, each over all
replicas.
"""

from dataclasses import dataclass

import keras
from keras import ops

from keras_fpn.config import Config, arguments_of
from keras_fpn.distribute.replicas import global_sum, replica_count


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class ImagePositives(Config):
    """Divides the loss of each image by its positives, and the sum by the images.

    An image without positives is divided by 1. Source: torchvision's RetinaNet.

    Call arguments:
        positives: float32 (B,), number of positives of each image.
        image_weights: float32 (B,), 0 for an image that only fills the batch.
        training: bool.

    Returns:
        weights: float32 (B,), by which the sum of each image is multiplied.
        count: float32 scalar, by whose sum over all replicas the total is divided.
    """

    def __call__(self, positives, image_weights, training: bool):
        weights = image_weights / ops.maximum(positives, 1.0)
        return weights, ops.sum(image_weights)


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True)
class BatchPositives(Config):
    """Divides the sum of the losses by the positives of the whole batch.

    Source: torchvision's FCOS.

    Call arguments and returns: as `ImagePositives`.
    """

    def __call__(self, positives, image_weights, training: bool):
        return image_weights, ops.sum(positives * image_weights)


@keras.saving.register_keras_serializable(package="keras_fpn")
class MovingPositives(keras.layers.Layer):
    """Divides the sum of the losses by a moving average of the batch's positives.

    The average is saved with the model. It is that of the whole batch, so it does not
    depend on the number of replicas. Without training it does not change.

    Source: detectron2's RetinaNet, whose workers each have an average of their own.

    Args:
        momentum: float, 0..1, weight of the average in each step.
        start: float > 0, the average before the first step.

    Call arguments and returns: as `ImagePositives`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, momentum: float = 0.9, start: float = 100.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        if not 0 <= momentum <= 1 or start <= 0:
            raise ValueError(
                "momentum must be within 0..1 and start above 0; received "
                f"momentum={momentum}, start={start}."
            )
        self.momentum = momentum
        self.start = start
        self.average = self.add_weight(
            name="average",
            shape=(),
            initializer=keras.initializers.Constant(start),
            trainable=False,
            aggregation="only_first_replica",
        )
        self.built = True  # it has no inputs that would decide on shapes

    def __call__(self, positives, image_weights, training: bool):
        average = ops.convert_to_tensor(self.average)
        if training:
            found = global_sum(ops.sum(positives * image_weights))
            found = ops.maximum(found, 1.0)
            average = self.momentum * average + (1 - self.momentum) * found
            self.average.assign(average)
        return image_weights, average / replica_count()

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, MovingPositives)}
