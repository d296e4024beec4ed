"""MobileNetV2 as a bottom-up pathway: image -> C2..C5."""

from typing import Any

import keras

from keras_fpn.backbones.inverted_residual import inverted_residual
from keras_fpn.files import PathLike
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.weights.imagenet import with_imagenet

# Expansion, output channels, blocks, stride of the first: Sandler et al. 2018
# (arXiv:1801.04381), Table 2.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS = 32
TAPS = {2: "C2", 5: "C3", 12: "C4", 16: "C5"}  # the last block of each stride


def mobilenet_v2(
    norm: str | None = "frozen_batch",
    epsilon: float = 1e-3,
    weights: PathLike | None = None,
) -> keras.Model:
    """MobileNetV2: C2..C5 have 24, 32, 96, 320 channels.

    The graph is that of keras.applications without its last convolution and
    classifier, so that its ImageNet weights fit; they expect pixels / 127.5 - 1.

    Source: Sandler et al. 2018 (arXiv:1801.04381), Table 2.

    Args:
        norm: as in `keras_fpn.layers.ConvNorm`; "group" for training from scratch in
            small batches.
        epsilon: float, of the norms; the default fits keras.applications.
        weights: None, random; "imagenet", the name of a registered checkpoint, or a
            file (see `keras_fpn.weights.load_imagenet`).

    Returns:
        functional `keras.Model`, float (B, H, W, 3), normalized ->
        dict "C<l>" -> float (B, H / 2^l, W / 2^l, C_l), l = 2..5.
    """
    settings: dict[str, Any] = {"padding": "same", "norm": norm, "epsilon": epsilon}
    images = keras.Input((None, None, 3), name="images")
    stem = ConvNorm(STEM_CHANNELS, 3, 2, activation="relu6", name="stem", **settings)
    x = stem(images)
    bottom_up, number = {}, 0
    for expansion, filters, depth, first_strides in STAGES:
        for place in range(depth):
            strides = first_strides if place == 0 else 1
            expanded, name = x.shape[-1] * expansion, f"block{number}"
            block = 3, expanded, filters, False, "relu6", strides, name
            x = inverted_residual(x, *block, settings)
            if number in TAPS:
                bottom_up[TAPS[number]] = x
            number += 1
    return with_imagenet(keras.Model(images, bottom_up, name="mobilenet_v2"), weights)
