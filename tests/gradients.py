"""A loss and its gradients, on either backend, compiled."""

import keras


def loss_and_gradients(loss, variables, inputs):
    """Returns the losses and the gradients of their sum.

    Args:
        loss: function of `inputs` that returns a dict of scalars.
        variables: list of `keras.Variable`.
        inputs: nested arrays.

    Returns:
        losses: dict of str -> float.
        gradients: list of arrays, one per variable.
    """
    if keras.config.backend() == "jax":
        losses, gradients = _jax(loss, variables, inputs)
    else:
        losses, gradients = _tensorflow(loss, variables, inputs)
    losses = {name: float(value) for name, value in losses.items()}
    return losses, [keras.ops.convert_to_numpy(gradient) for gradient in gradients]


def _tensorflow(loss, variables, inputs):
    import tensorflow as tf

    @tf.function
    def compute(inputs):
        with tf.GradientTape() as tape:
            losses = loss(inputs)
            total = sum(losses.values())
        values = [variable.value for variable in variables]
        return losses, tape.gradient(total, values)

    return compute(inputs)


def _jax(loss, variables, inputs):
    import jax

    def total(values, inputs):
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            losses = loss(inputs)
        return sum(losses.values()), losses

    compute = jax.jit(jax.grad(total, has_aux=True))
    gradients, losses = compute([variable.value for variable in variables], inputs)
    return losses, gradients
