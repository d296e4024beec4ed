"""The lateral connection of FaPN, which weighs the channels of a map."""

import keras
from keras import ops

from keras_fpn.config import arguments_of
from keras_fpn.layers.conv_norm import ConvNorm


@keras.saving.register_keras_serializable(package="keras_fpn")
class FeatureSelection(keras.layers.Layer):
    """Emphasizes the channels of a map that matter, and reduces their number.

    A gate u = sigmoid(conv1x1(mean of all cells)) is computed for each channel, and the
    output is conv1x1(C_l + u * C_l). Neither convolution has a bias. The gate scales
    the kernel of each image and not the map, which gives the same result with fewer
    operations.

    Source: Huang et al. 2021 (arXiv:2108.07058), the feature selection module (FSM);
    details as in FaPN's code.

    Args:
        channels: int, channels of the pyramid.
        norm: as in `ConvNorm`, between the gate's convolution and its sigmoid. FaPN's
            detectors have none.
        use_bias: bool, whether the gate's convolution has a bias where `norm` is None.
            FaPN's has none; a folded batch norm needs one.

    Call arguments:
        inputs: float (B, H, W, C_l).
        training: bool, as in `ConvNorm`.

    Returns:
        float (B, H, W, channels).
    """

    def __init__(
        self,
        channels: int = 256,
        norm: str | None = None,
        use_bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = norm
        self.use_bias = use_bias

    def build(self, input_shape):
        channels = input_shape[-1]
        # Uniform within +-sqrt(3 / fan_in), as the lateral connections of FPN.
        start = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        self.gate = ConvNorm(
            channels,
            norm=self.norm,
            activation="sigmoid",
            kernel_initializer=start,
            use_bias=self.use_bias,
            dtype=self.dtype_policy,
            name="gate",
        )
        self.gate.build((input_shape[0], 1, 1, channels))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(1, 1, channels, self.channels),
            initializer=start.clone(),
            autocast=False,
        )

    def call(self, inputs, training=False):
        batch, height, width = ops.shape(inputs)[:3]
        mean = ops.mean(inputs, axis=(1, 2), keepdims=True)
        gate = ops.cast(self.gate(mean, training=training), "float32")
        kernel = self.kernel[0] * (1.0 + ops.reshape(gate, (batch, -1, 1)))
        cells = ops.reshape(inputs, (batch, height * width, inputs.shape[-1]))
        outputs = ops.matmul(cells, ops.cast(kernel, self.compute_dtype))
        return ops.reshape(outputs, (batch, height, width, self.channels))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)

    def get_config(self):
        return {**super().get_config(), **arguments_of(self, FeatureSelection)}
