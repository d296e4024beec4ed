"""The backend check, in fresh interpreters: Keras chooses its backend only once."""

import json
import os
import subprocess
import sys

import keras
import pytest

from keras_fpn.backend import check_backend

CHECK = """
import sys
try:
    from keras_fpn.backend import check_backend
    check_backend()
except ImportError as error:
    print("refused:", error)
print("keras imported:", "keras" in sys.modules)
"""

IMPORT_WITHOUT_TENSORFLOW = """
import sys

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name=name)

sys.meta_path.insert(0, NoTensorFlow())
import keras
import keras_fpn
import keras_fpn.layers
import keras_fpn.models

print("backend:", keras.config.backend())
print("tensorflow imported:", "tensorflow" in sys.modules)
"""


@pytest.fixture
def run_python(repository_root, tmp_path):
    """Runs code in a fresh interpreter with a Keras home of its own; returns stdout."""

    def run(code, backend=None, config=None):
        environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
        environment |= {"KERAS_HOME": str(tmp_path), "PYTHONPATH": str(repository_root)}
        if backend is not None:
            environment["KERAS_BACKEND"] = backend
        if config is not None:
            (tmp_path / "keras.json").write_text(config)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("backend", ["torch", "numpy", "openvino", "TensorFlow"])
def test_other_backends_are_refused_before_keras_is_imported(run_python, backend):
    out = run_python(CHECK, backend=backend)
    assert f"received backend='{backend}' from the environment variable" in out
    assert "keras imported: False" in out


def test_a_backend_that_is_not_installed_says_how_to_get_it(run_python):
    hidden = "import importlib.util\nimportlib.util.find_spec = lambda name: None\n"
    out = run_python(hidden + CHECK, backend="jax")
    assert "received backend='jax' from the environment variable" in out
    assert f"Run {sys.executable} -m pip install jax, or choose the other one" in out
    assert "keras imported: False" in out


def test_backend_of_the_configuration_file_is_refused_too(run_python, tmp_path):
    out = run_python(CHECK, config=json.dumps({"backend": "torch"}))
    assert f"received backend='torch' from {tmp_path / 'keras.json'}" in out
    assert "keras imported: False" in out


@pytest.mark.parametrize("config", ['{"backend": "torch"}', "{damaged", None])
def test_environment_beats_the_configuration_file(run_python, config):
    out = run_python(CHECK, backend="jax", config=config)
    assert "refused" not in out
    assert "keras imported: True" in out


def test_keras_already_on_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(
        ImportError, match="'torch' from the Keras that is already imported"
    ):
        check_backend()


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="received image_data_format='channels_fi"):
            check_backend()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_package_works_under_jax_where_tensorflow_is_absent(run_python):
    out = run_python(IMPORT_WITHOUT_TENSORFLOW, backend="jax")
    assert "backend: jax" in out
    assert "tensorflow imported: False" in out
