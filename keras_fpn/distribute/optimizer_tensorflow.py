"""Lets the optimizers of Keras work on several replicas of `tf.distribute`.

Keras 3.15 clips the gradients of each replica before it adds them up, so that the
result depends on the number of replicas. With accumulated gradients, or with averages
that overwrite the weights every few steps, it raises an error.
"""

import tensorflow as tf

from keras_fpn.distribute.inner_optimizers import inner_optimizers
from keras_fpn.distribute.replicas_tensorflow import all_reduced


def adapt_to_replicas(optimizer):
    """Makes an optimizer update on several replicas as it would on one.

    Gradients are added up first. What the optimizer saves and loads does not change.

    Args:
        optimizer: `keras.optimizers.Optimizer`, or a wrapper of Keras around some.
    """
    if getattr(optimizer, "_adapted_to_replicas", False):
        return
    optimizer._adapted_to_replicas = True
    optimizer.apply = _with_sums(optimizer.apply)
    for inner in inner_optimizers(optimizer):
        inner._all_reduce_sum_gradients = list  # they are sums already
        if inner.gradient_accumulation_steps or inner.ema_overwrite_frequency:
            inner._backend_apply_gradients = _apply_across_replicas(inner)


def _with_sums(apply):
    """Returns `apply` of an optimizer, called with gradients summed over replicas."""

    def apply_sums(gradients, variables=None):
        present = [gradient for gradient in gradients if gradient is not None]
        sums = iter(all_reduced(present) if present else ())
        gradients = [None if one is None else next(sums) for one in gradients]
        return apply(gradients, variables)

    return apply_sums


def _apply_across_replicas(optimizer):
    """Returns `_backend_apply_gradients` with its conditions outside the replicas.

    Keras has them within each replica, where replicas cannot synchronize.
    """

    def update(gradients, variables):
        steps = optimizer.gradient_accumulation_steps
        if steps:
            stored = _accumulators(optimizer, variables)
            pairs = zip(gradients, stored, strict=True)
            gradients = [(gradient + others) / steps for gradient, others in pairs]
        gradients = optimizer._clip_gradients(gradients)
        optimizer._apply_weight_decay(variables)
        optimizer._backend_update_step(gradients, variables, optimizer.learning_rate)
        if steps:
            optimizer._backend_reset_gradient_accumulators()

    def accumulate(gradients, variables):
        stored = _accumulators(optimizer, variables)
        optimizer._backend_increment_gradient_accumulators(gradients, stored)

    def apply(gradients, variables):
        def across(strategy, gradients):
            def on_each(function, *arguments):
                strategy.extended.call_for_each_replica(function, args=arguments)

            if optimizer.gradient_accumulation_steps:
                seen = optimizer._iterations + 1
                tf.cond(
                    seen % optimizer.gradient_accumulation_steps == 0,
                    lambda: on_each(update, gradients, variables),
                    lambda: on_each(accumulate, gradients, variables),
                )
            else:
                on_each(update, gradients, variables)
            _average(optimizer, on_each)

        context = tf.distribute.get_replica_context()
        context.merge_call(across, args=(list(gradients),))

    return apply


def _accumulators(optimizer, variables):
    """Returns the accumulated gradients of variables, a list of variables."""
    return [
        optimizer._accumulated_gradients[optimizer._get_variable_index(variable)]
        for variable in variables
    ]


def _average(optimizer, on_each):
    """Updates the averages of the weights, and every few steps overwrites these.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
        on_each: function that calls its argument on each replica.
    """
    if not optimizer.use_ema:
        return
    weights = optimizer._trainable_variables
    on_each(optimizer._update_model_variables_moving_average, weights)
    if optimizer.ema_overwrite_frequency:
        tf.cond(
            (optimizer.iterations + 1) % optimizer.ema_overwrite_frequency == 0,
            lambda: optimizer._overwrite_model_variables_with_average_value(weights),
            lambda: None,
        )
