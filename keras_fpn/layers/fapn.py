"""FaPN, the feature-aligned pyramid network, as a neck of detectors."""

import keras

from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.layers.feature_align import FeatureAlign
from keras_fpn.layers.feature_selection import FeatureSelection
from keras_fpn.layers.fpn import FeaturePyramid


def fapn(
    channels: int = 256,
    norm: str | None = None,
    deformable_groups: int = 8,
    **arguments,
):
    """Builds a feature-aligned pyramid network (FaPN), a `FeaturePyramid`.

    It selects channels in each lateral connection, and aligns the coarser map before it
    is added. The coarsest map is a 1x1 convolution alone, which is not smoothed.

    Source: Huang et al. 2021 (arXiv:2108.07058), with the details of its code for
    detectors. Deviation: all biases start at 0.

    Example:
        neck = keras_fpn.layers.fapn(name="neck")
        model = keras_fpn.models.faster_rcnn_fpn("resnet50", neck=neck)

    Args:
        channels: int, channels of every pyramid map.
        norm: as in `ConvNorm`, after the 3x3 convolutions and the 1x1 convolution that
            compares two maps. Lateral connections have none.
        deformable_groups: int, divides `channels`; as in `DeformableConvolution`.
        **arguments: others of `FeaturePyramid`: `levels`, `name`, `dtype`.

    Returns:
        `FeaturePyramid`.
    """
    return FeaturePyramid(
        channels,
        norm,
        lateral=FeatureSelection(channels),
        merge=FeatureAlign(channels, norm, deformable_groups),
        coarsest=ConvNorm(
            channels,
            kernel_initializer=keras.initializers.VarianceScaling(
                1 / 3, "fan_in", "uniform"
            ),
        ),
        **arguments,
    )
