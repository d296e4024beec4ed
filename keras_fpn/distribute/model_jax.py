"""What Keras 3.15 lacks to keep a model's weights when a step fails on JAX."""

import keras

_KINDS = ("trainable", "non_trainable", "optimizer", "metrics")


class RecoveringModel(keras.Model):
    """A `keras.Model` that has its weights after a failed `fit`, too.

    Keras takes the values out of the variables before the first step and puts those of
    the last step back. If the first step fails, for wrong targets say, there are none:
    the next `fit` would start from new random weights, without an error.
    """

    def evaluate(self, *args, **kwargs):
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self.jax_state_sync()  # which Keras does in `fit` alone

    def predict(self, *args, **kwargs):
        try:
            return super().predict(*args, **kwargs)
        finally:
            self.jax_state_sync()

    def _get_jax_state(self, *args, **kwargs):
        """Returns the values for a step, which are put back if it fails."""
        state = super()._get_jax_state(*args, **kwargs)
        kinds = [f"{kind}_variables" for kind in _KINDS]
        asked = [kind for kind in kinds if kwargs.get(kind)]
        self._jax_state = dict(zip(asked, state, strict=True))
        return state
