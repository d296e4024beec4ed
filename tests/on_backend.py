"""Keras functions as a user's backend runs them: compiled, differentiated."""

import keras


def arrays(structure):
    """Returns the nested structure with NumPy arrays in the places of tensors."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, structure)


def outputs_of(function, *inputs):
    """Returns what the function gives: eagerly on TensorFlow, under jit on JAX.

    Eager JAX compiles every operation by itself, which takes far longer than it runs.
    """
    if keras.backend.backend() == "tensorflow":
        return arrays(function(*inputs))
    if isinstance(function, keras.Layer) and not function.built:
        function(*symbolic_like(inputs))  # weights must not be made within jit
    return compiled(function, *inputs)


def symbolic_like(inputs):
    """Returns the nested structure with float32 KerasTensors of the same shapes."""
    return keras.tree.map_structure(
        lambda array: keras.KerasTensor(array.shape, "float32"), inputs
    )


def compiled(function, *inputs):
    """Returns what the function gives for the inputs under tf.function or jax.jit.

    Args:
        function: tensors -> nested tensors.
        inputs: arrays or nested arrays.
    """
    if keras.backend.backend() == "jax":
        import jax

        return arrays(jax.jit(function)(*inputs))
    import tensorflow as tf

    tensors = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    return arrays(tf.function(function)(*tensors))


def by_xla(function, *inputs):
    """As `compiled` on TensorFlow, where XLA compiles the function only if asked."""
    import tensorflow as tf

    tensors = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    return arrays(tf.function(function, jit_compile=True)(*tensors))


def graph_of_all_sizes(function, shapes):
    """Returns the function compiled: one graph for all sizes, on JAX one per size.

    Args:
        function: tensors -> nested tensors.
        shapes: nested shape tuples of its float32 inputs, None where a size is free.
    """
    if keras.backend.backend() == "jax":
        import jax

        run = jax.jit(function)
    else:
        import tensorflow as tf

        signature = keras.tree.map_shape_structure(tf.TensorSpec, list(shapes))
        run = tf.function(function, input_signature=signature)
    return lambda *inputs: arrays(run(*inputs))


def gradient(function, array):
    """Returns the derivative of the summed outputs, arrays like `array`.

    Args:
        function: (nested) tensor -> tensor.
        array: (nested) float array, where it is derived.
    """
    if keras.backend.backend() == "jax":
        import jax

        derivative = jax.grad(lambda x: keras.ops.sum(function(x)))
        return arrays(jax.jit(derivative)(array))
    import tensorflow as tf

    variables = keras.tree.map_structure(tf.Variable, array)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(function(variables))
    derivatives = tape.gradient(
        total, keras.tree.flatten(variables), unconnected_gradients="zero"
    )
    return keras.tree.pack_sequence_as(array, arrays(derivatives))
