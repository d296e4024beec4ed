import sys
import types

import keras
import numpy as np
import pytest
from on_backend import arrays

from keras_fpn.models.compiled import compiled_call

# On JAX its own form is the other one.
BOTH = keras.config.backend() == "tensorflow"


@pytest.fixture(params=["own", "portable"][: 1 + BOTH])
def compiled(request, monkeypatch):
    """`compiled_call`, also as it is on JAX, without JAX's compiling."""
    if request.param == "portable":
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
        jax = types.SimpleNamespace(jit=lambda function: function)
        monkeypatch.setitem(sys.modules, "jax", jax)
    return compiled_call


def test_a_compiled_model_infers_with_the_weights_that_it_has_then(compiled):
    # Dropout of almost everything: in training nothing would come through.
    values = keras.Input((None,), name="values")
    inner = keras.layers.Dropout(0.999, seed=0)(keras.ops.expand_dims(values, -1))
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Model({"values": values}, {"doubled": 2 * dense(inner)})
    call = compiled(model)
    for count in (3, 5):  # of any size
        given = np.arange(1, 1 + count, dtype="float32")[None]
        found = arrays(call({"values": given}))["doubled"]
        np.testing.assert_array_equal(found[..., 0], 2 * given)
    dense.kernel.assign([[5.0]])
    np.testing.assert_array_equal(
        arrays(call({"values": given}))["doubled"][..., 0], 10 * given
    )
