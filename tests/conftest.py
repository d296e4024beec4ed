"""What every test may ask for, and how tests that cannot run here are set aside.

The reference implementation's recorded numbers are too large for this repository.
They are looked for in the folder that the environment variable KERAS_FPN_SHARED
names, by default `shared` beside the checkout.
"""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything loads TensorFlow

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Skips, on another backend, the tests marked `tensorflow_only`."""
    if keras.config.backend() == "tensorflow":
        return
    skip = pytest.mark.skip(
        reason=f"needs the TensorFlow backend, this is {keras.config.backend()}"
    )
    for item in items:
        if item.get_closest_marker("tensorflow_only"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def repository_root():
    """pathlib.Path of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def parity_folder():
    """pathlib.Path of torchvision's recorded numbers.

    Where they are absent the test is skipped, but fails under CI=true: there a skip
    would look like a proof.
    """
    shared = os.environ.get("KERAS_FPN_SHARED") or ROOT.parent / "shared"
    folder = pathlib.Path(shared) / "parity"
    if folder.is_dir():
        return folder
    absent = (
        f"the reference numbers are not in {folder}; "
        "name the folder that holds parity/ in KERAS_FPN_SHARED"
    )
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(absent)
    pytest.skip(absent)
