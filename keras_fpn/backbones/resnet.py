"""Residual networks as bottom-up pathways: image -> C2..C5.

Source: He et al. 2015 (arXiv:1512.03385). `resnet50` to `resnet152` are "v1.5" as in
torchvision: the stride of a bottleneck is in its 3x3 convolution. In `msra_resnet50`
and `msra_resnet101` it is in the first 1x1 convolution, as in the paper and in Caffe.
"""

import keras

from keras_fpn.files import PathLike
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.weights.imagenet import with_imagenet

STEM_CHANNELS = 64


def resnet18(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
    channels: int = STEM_CHANNELS,
) -> keras.Model:
    """ResNet-18: C2..C5 have 64, 128, 256, 512 channels; arguments as `resnet50`.

    Args:
        channels: int, of the stem and C2; every further level has twice as many. Fewer
            than 64 give a detector that a CPU can train, but without published
            weights.
    """
    return _resnet("resnet18", _basic, (2, 2, 2, 2), norm, epsilon, weights, channels)


def resnet34(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
) -> keras.Model:
    """ResNet-34: C2..C5 have 64, 128, 256, 512 channels; arguments as `resnet50`."""
    return _resnet("resnet34", _basic, (3, 4, 6, 3), norm, epsilon, weights)


def resnet50(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
) -> keras.Model:
    """ResNet-50: C2..C5 have 256, 512, 1024, 2048 channels.

    Args:
        norm: as in `keras_fpn.layers.ConvNorm`; "frozen_batch" for pretrained weights,
            "group" for training from scratch in small batches.
        epsilon: float, of the norms; 0.0 for torchvision's first COCO checkpoints.
        weights: None, random; "imagenet", the name of a registered checkpoint, or a
            file (see `keras_fpn.weights.load_imagenet`).

    Returns:
        functional `keras.Model`, float (B, H, W, 3), normalized ->
        dict "C<l>" -> float (B, H / 2^l, W / 2^l, C_l), l = 2..5.
    """
    return _resnet("resnet50", _bottleneck, (3, 4, 6, 3), norm, epsilon, weights)


def resnet101(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
) -> keras.Model:
    """ResNet-101: channels and arguments as `resnet50`."""
    return _resnet("resnet101", _bottleneck, (3, 4, 23, 3), norm, epsilon, weights)


def resnet152(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
) -> keras.Model:
    """ResNet-152: channels and arguments as `resnet50`."""
    return _resnet("resnet152", _bottleneck, (3, 8, 36, 3), norm, epsilon, weights)


def msra_resnet50(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
) -> keras.Model:
    """ResNet-50 with strides in the first convolutions of blocks, as in detectron2.

    Detectors of detectron2 start from weights by Microsoft Research Asia (MSRA), which
    expect pixels with a standard deviation of 1. No ImageNet checkpoint is registered.

    Args:
        norm, epsilon, weights: as of `resnet50`.

    Returns:
        functional `keras.Model`, as `resnet50`.
    """
    return _resnet("msra_resnet50", _msra, (3, 4, 6, 3), norm, epsilon, weights)


def msra_resnet101(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
) -> keras.Model:
    """ResNet-101: channels and arguments as `msra_resnet50`."""
    return _resnet("msra_resnet101", _msra, (3, 4, 23, 3), norm, epsilon, weights)


def _resnet(name, block, depths, norm, epsilon, weights, channels=STEM_CHANNELS):
    def convolution(filters, kernel_size, strides, activation, name):
        return ConvNorm(
            filters,
            kernel_size,
            strides,
            norm=norm,
            epsilon=epsilon,
            activation=activation,
            name=name,
        )

    images = keras.Input((None, None, 3), name="images")
    x = convolution(channels, 7, 2, "relu", "stem")(images)
    # Zero padding is valid for the maximum: after the ReLU no value is negative.
    x = keras.layers.ZeroPadding2D(1, name="stem_padding")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="stem_pooling")(x)
    bottom_up = {}
    for stage, depth in enumerate(depths):
        level = stage + 2
        for number in range(1, depth + 1):
            strides = 2 if number == 1 and level > 2 else 1
            place = f"C{level}_block{number}"
            x = block(x, channels * 2**stage, strides, convolution, place)
        bottom_up[f"C{level}"] = x
    return with_imagenet(keras.Model(images, bottom_up, name=name), weights)


def _basic(x, channels, strides, convolution, name):
    residual = convolution(channels, 3, strides, "relu", f"{name}_conv1")(x)
    residual = convolution(channels, 3, 1, None, f"{name}_conv2")(residual)
    return _add_shortcut(x, residual, channels, strides, convolution, name)


def _bottleneck(x, channels, strides, convolution, name):
    return _three_convolutions(x, channels, (1, strides), convolution, name)


def _msra(x, channels, strides, convolution, name):
    return _three_convolutions(x, channels, (strides, 1), convolution, name)


def _three_convolutions(x, channels, strides, convolution, name):
    """Returns a block with the strides of its 1x1 and of its 3x3 convolution."""
    filters = 4 * channels
    first, second = strides
    residual = convolution(channels, 1, first, "relu", f"{name}_conv1")(x)
    residual = convolution(channels, 3, second, "relu", f"{name}_conv2")(residual)
    residual = convolution(filters, 1, 1, None, f"{name}_conv3")(residual)
    return _add_shortcut(x, residual, filters, first * second, convolution, name)


def _add_shortcut(x, residual, filters, strides, convolution, name):
    if strides > 1 or x.shape[-1] != filters:
        x = convolution(filters, 1, strides, None, f"{name}_shortcut")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, residual])
    return keras.layers.ReLU(name=f"{name}_out")(x)
