"""MobileNetV3-Large as a bottom-up pathway, cut as torchvision cuts it."""

from typing import Any

import keras

from keras_fpn.backbones.inverted_residual import inverted_residual
from keras_fpn.files import PathLike
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.weights.imagenet import with_imagenet

# Kernel, expanded channels, output channels, squeeze-and-excitation, activation,
# stride: Howard et al. 2019 (arXiv:1905.02244), Table 1.
BLOCKS = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
STEM_CHANNELS = 16
LAST_CHANNELS = 960
FIRST_TAP = 13  # the block that reaches stride 32


def mobilenet_v3_large(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-5,
    weights: PathLike | None = None,
) -> keras.Model:
    """MobileNetV3-Large with two maps, both at stride 32.

    torchvision's mobile detectors tap the first block of the last stage (160 channels)
    and the last convolution (960 channels). The maps are named C5 and C6 by their
    order; C6 is as large as C5, not half of it.

    Source: Howard et al. 2019 (arXiv:1905.02244), Sec. 5 and Table 1.

    Args:
        norm: as in `keras_fpn.layers.ConvNorm`.
        epsilon: float, of the norms; 1e-3 for the ImageNet weights.
        weights: None, random; "imagenet", the name of a registered checkpoint, or a
            file (see `keras_fpn.weights.load_imagenet`).

    Returns:
        functional `keras.Model`, float (B, H, W, 3), normalized ->
        {"C5": float (B, H / 32, W / 32, 160), "C6": float (B, H / 32, W / 32, 960)}.
    """
    norms: dict[str, Any] = {"norm": norm, "epsilon": epsilon}
    images = keras.Input((None, None, 3), name="images")
    stem = ConvNorm(STEM_CHANNELS, 3, 2, activation="hard_swish", name="stem", **norms)
    x = stem(images)
    bottom_up = {}
    for number, settings in enumerate(BLOCKS, start=1):
        x = inverted_residual(x, *settings, f"block{number}", norms)
        if number == FIRST_TAP:
            bottom_up["C5"] = x
    last = ConvNorm(LAST_CHANNELS, 1, activation="hard_swish", name="last", **norms)
    bottom_up["C6"] = last(x)
    return with_imagenet(
        keras.Model(images, bottom_up, name="mobilenet_v3_large"), weights
    )
