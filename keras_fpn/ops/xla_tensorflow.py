"""Whether TensorFlow is tracing for XLA."""

import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext


def compiled_by_xla() -> bool:
    """Returns whether XLA will compile the graph that is being traced.

    That is so within a `tf.function` with `jit_compile=True`, at any depth: in the
    plain functions and loops that it calls, too.
    """
    return GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
