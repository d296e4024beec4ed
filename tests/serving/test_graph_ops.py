"""What the graph is made of: nothing that a stock server lacks.

The rule. A stock TensorFlow Serving links TensorFlow's own operations and CPU kernels
(and TensorFlow Text's and Decision Forests', which are not used here). So every
operation of the graph and of its functions must be registered by `import tensorflow`
alone, have a kernel for CPU, and call back into no Python.
"""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tensorflow_only

# Registered by TensorFlow, but they run code of the Python process.
OF_PYTHON = {
    "PyFunc",
    "PyFuncStateless",
    "EagerPyFunc",
    "GeneratorDataset",
}
ANY_CPU = {"CPU", "DEFAULT"}
# They stand for what the runtime itself does, without a kernel of their own kind.
OF_THE_RUNTIME = {"If", "StatelessIf", "While", "StatelessWhile"}

# In a fresh process: Keras, or a test, may have registered more in this one.
LIST = """
import json, sys
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import kernels, op_def_registry

kernels_of = kernels.get_registered_kernels_for_op

model = saved_model_pb2.SavedModel.FromString(open(sys.argv[1], "rb").read())
[graph] = [meta.graph_def for meta in model.meta_graphs]
functions = {f.signature.name for f in graph.library.function}
nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
ops = sorted({node.op for node in nodes} - functions)
print(json.dumps({
    op: [
        op_def_registry.get(op) is not None,
        sorted({kernel.device_type for kernel in kernels_of(op).kernel}),
    ]
    for op in ops
}))
"""


@pytest.fixture(scope="module")
def operations(exported):
    """dict, operation -> whether TensorFlow registers it, devices of its kernels."""
    path = exported / "saved_model.pb"
    done = subprocess.run(
        [sys.executable, "-c", LIST, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_every_operation_is_tensorflows_own(operations):
    assert "Conv2D" in operations
    assert "CombinedNonMaxSuppression" in operations
    assert [op for op, (registered, _) in operations.items() if not registered] == []


def test_every_operation_has_a_kernel_for_cpu(operations):
    without = {op for op, (_, on) in operations.items() if not ANY_CPU & set(on)}
    assert without - OF_THE_RUNTIME == set()


def test_no_operation_calls_python(operations):
    assert OF_PYTHON & set(operations) == set()
