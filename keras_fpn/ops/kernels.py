"""The one place that chooses between a kernel's native and its portable form.

A native form is made of a backend's own operations, and is faster there. A portable
form is written in `keras.ops`, runs on every backend, and is compiled by XLA.
"""

import keras


def native_kernels_run() -> bool:
    """Returns whether the native forms can run where this is called.

    TensorFlow has native forms, of operations that XLA cannot compile. So the answer
    depends on what is being traced: a `tf.function`, plain or with `jit_compile=True`.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    from keras_fpn.ops.xla_tensorflow import compiled_by_xla

    return not compiled_by_xla()
