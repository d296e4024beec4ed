"""A loss and its gradients, on either backend, compiled."""

import keras
from on_backend import arrays


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
    return step(lambda inputs: (loss(inputs), {}), variables, inputs)[:2]


def step(loss, variables, inputs):
    """As `loss_and_gradients`, with what else was computed on the way.

    Args:
        loss: function of `inputs` that returns a dict of scalars and, without a part in
            the gradients, nested tensors.

    Returns:
        losses, gradients: as of `loss_and_gradients`.
        others: nested arrays.
    """
    if keras.config.backend() == "jax":
        losses, others, gradients = _jax(loss, variables, inputs)
    else:
        losses, others, gradients = _tensorflow(loss, variables, inputs)
    losses = {name: float(value) for name, value in losses.items()}
    return losses, *arrays((gradients, others))


def _tensorflow(loss, variables, inputs):
    import tensorflow as tf

    @tf.function
    def compute(inputs):
        with tf.GradientTape() as tape:
            losses, others = loss(inputs)
            total = sum(losses.values())
        values = [variable.value for variable in variables]
        return losses, others, tape.gradient(total, values)

    return compute(inputs)


def _jax(loss, variables, inputs):
    import jax

    def total(values, inputs):
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            losses, others = loss(inputs)
        return sum(losses.values()), (losses, others)

    compute = jax.jit(jax.grad(total, has_aux=True))
    values = [variable.value for variable in variables]
    gradients, (losses, others) = compute(values, inputs)
    return losses, others, gradients
