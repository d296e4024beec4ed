"""Exports have operations of a list, and a stock server has the list."""

import json
import subprocess
import sys

import pytest
from serving.operations import ALLOWED, assert_stock, operations

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
from tensorflow.python.framework import kernels, op_def_registry

kernels_of = kernels.get_registered_kernels_for_op
print(json.dumps({
    op: [
        op_def_registry.get(op) is not None,
        sorted({kernel.device_type for kernel in kernels_of(op).kernel}),
    ]
    for op in sys.argv[1:]
}))
"""


@pytest.fixture(scope="module")
def registered():
    """dict, operation -> whether TensorFlow registers it, devices of its kernels."""
    done = subprocess.run(
        [sys.executable, "-c", LIST, *sorted(ALLOWED), "NoSuchOperation"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("NoSuchOperation") == [False, []]
    return found


def test_every_operation_of_the_list_is_tensorflows_own(registered):
    assert [op for op, (own, _) in registered.items() if not own] == []


def test_every_operation_of_the_list_has_a_kernel_for_cpu(registered):
    without = {op for op, (_, on) in registered.items() if not ANY_CPU & set(on)}
    assert without - OF_THE_RUNTIME == set()


def test_no_operation_of_the_list_calls_python():
    assert OF_PYTHON & ALLOWED == set()


@pytest.mark.parametrize("frozen", [False, True])
def test_a_detectors_export_has_operations_of_the_list(
    exported, exported_frozen, frozen
):
    folder = exported_frozen if frozen else exported
    found = operations(folder)
    assert {"Conv2D", "CombinedNonMaxSuppression", "DecodeJpeg"} <= found
    assert ("ReadVariableOp" in found) != frozen
    assert_stock(folder)
