"""Normalizes pixels to the values that the backbone was trained on."""

from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_fpn")
class NormalizePixels(keras.layers.Layer):
    """Normalizes pixels, then sets the padding to zero.

    torchvision normalizes each photo and then pads it with zeros. Here the images are
    already padded, so the layer sets the padding to zero after it has normalized all
    pixels. The values in the padding of the input do not matter.

    Args:
        mean: 3 floats, mean of R, G and B, for pixels scaled to 0..1.
        std: 3 floats, standard deviation of R, G and B, for pixels scaled to 0..1.

    Call arguments:
        images: float (B, H, W, 3), RGB, 0..255, padded at the right and bottom.
        image_sizes: float (B, 2), height and width without the padding, pixels.

    Returns:
        float (B, H, W, 3), the layer's compute dtype.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs):
        # No autocast: bfloat16 would round image sizes above 256, and resized pixels.
        super().__init__(autocast=False, **kwargs)
        self.mean = tuple(mean)
        self.std = tuple(std)

    def call(self, images, image_sizes):
        mean = ops.convert_to_tensor(self.mean, "float32")
        std = ops.convert_to_tensor(self.std, "float32")
        images = (ops.cast(images, "float32") / 255.0 - mean) / std
        height, width = ops.shape(images)[1:3]
        sizes = ops.cast(image_sizes, "float32")[:, :, None]
        rows = ops.arange(height, dtype="float32") < sizes[:, 0]  # (B, H)
        columns = ops.arange(width, dtype="float32") < sizes[:, 1]  # (B, W)
        valid = ops.logical_and(rows[:, :, None], columns[:, None, :])
        images = ops.where(valid[..., None], images, 0.0)
        return ops.cast(images, self.compute_dtype)

    def compute_output_shape(self, images_shape, image_sizes_shape):
        return images_shape

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std}
