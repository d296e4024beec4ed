"""The top-down merge of FaPN: the coarser map is aligned before it is added."""

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm
from keras_fpn.layers.deformable_convolution import DeformableConvolution
from keras_fpn.ops.bilinear_resize import bilinear_resize


@keras.saving.register_keras_serializable(package="keras_fpn")
class FeatureAlign(keras.layers.Layer):
    """Upsamples the coarser map, aligns it with the lateral map, and adds the two.

    The output is lateral + relu(deform(upsampled)). The offsets of the deformable
    convolution are predicted from conv1x1([lateral, 2 * upsampled]), so from the
    difference of the two maps.

    Source: Huang et al. 2021 (arXiv:2108.07058), the feature alignment module (FAM);
    the factor 2, the mask of the deformable convolution and initial values as in FaPN's
    code.

    Args:
        channels: int, channels of both maps.
        norm: as in `ConvNorm`, after the 1x1 convolution.
        deformable_groups: int, as in `DeformableConvolution`.
        use_bias: bool, whether the 1x1 convolution has a bias where `norm` is None.
            FaPN's has none; a folded batch norm needs one.

    Call arguments:
        lateral: float (B, H, W, channels), as from `FeatureSelection`.
        coarser: float (B, h, w, channels), the merged map of the next coarser level.
        training: bool, as in `ConvNorm`.

    Returns:
        float (B, H, W, channels).

    Raises:
        ValueError: `deformable_groups` does not divide the channels.
    """

    def __init__(
        self,
        channels: int = 256,
        norm: str | None = None,
        deformable_groups: int = 8,
        use_bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = norm
        self.deformable_groups = deformable_groups
        self.use_bias = use_bias

    def build(self, lateral_shape, coarser_shape):
        self.compare = _Comparison(
            self.channels,
            norm=self.norm,
            # Uniform within +-sqrt(3 / fan_in), as the convolutions of FPN.
            kernel_initializer=keras.initializers.VarianceScaling(
                1.0, "fan_in", "uniform"
            ),
            use_bias=self.use_bias,
            dtype=self.dtype_policy,
            name="compare",
        )
        channels = lateral_shape[-1] + coarser_shape[-1]
        self.compare.build((*lateral_shape[:-1], channels))
        self.deform = DeformableConvolution(
            self.channels,
            deformable_groups=self.deformable_groups,
            dtype=self.dtype_policy,
            name="deform",
        )
        upsampled_shape = (*lateral_shape[:-1], coarser_shape[-1])
        self.deform.build(upsampled_shape, (*lateral_shape[:-1], self.channels))

    def call(self, lateral, coarser, training=False):
        offset_features = self.compare((lateral, coarser), training=training)
        upsampled = bilinear_resize(coarser, *ops.shape(lateral)[1:3])
        return lateral + ops.relu(self.deform(upsampled, offset_features))

    def compute_output_shape(self, lateral_shape, coarser_shape):
        return lateral_shape

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, FeatureAlign)}


class _Comparison(ConvNorm):
    """Convolves [lateral, 2 * upsampled coarser map], from the two maps.

    The 1x1 convolution of the upsampled map is computed as the upsampled convolution of
    the coarser map, which has a quarter of the cells.
    """

    def _convolve(self, inputs, kernel):
        lateral, coarser = inputs
        kernel = ops.cast(kernel, self.compute_dtype)
        channels = lateral.shape[-1]
        moved = self.bare_convolution(coarser, 2 * kernel[:, :, channels:], "same")
        moved = bilinear_resize(moved, *ops.shape(lateral)[1:3])
        return self.bare_convolution(lateral, kernel[:, :, :channels], "same") + moved
