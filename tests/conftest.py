"""What every test may ask for, and how tests that cannot run here are set aside.

The reference implementation's recorded numbers and the real data sets are too large
for this repository. They are looked for in the folder that the environment variable
KERAS_FPN_SHARED names, by default `shared` beside the checkout.
"""

import os
import pathlib

# Before anything loads TensorFlow. Its sums repeat to the bit: in another order they
# differ in the last one, now and then a tie of two boxes falls the other way, and two
# trainings that ought to be equal part there.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")

# Where JAX keeps what it compiled, if that is asked for: each process that runs tests
# has its own folder, since one might read what another has not yet written whole.
if folder := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(pathlib.Path(folder, worker))

import keras
import pytest

keras.utils.set_random_seed(0)  # sums that repeat allow no chance without a seed

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items):
    """Marks what needs real data sets as `ci`; skips what needs another backend."""
    for item in items:
        if "data_folder" in item.fixturenames:
            item.add_marker("ci")
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
    return _shared_folder("parity", "the reference numbers")


@pytest.fixture(scope="session")
def detectron2_folder():
    """pathlib.Path of detectron2's recorded numbers; absent ones as above."""
    return _shared_folder("parity_detectron2", "the reference numbers of detectron2")


@pytest.fixture(scope="session")
def data_folder():
    """pathlib.Path of the real data sets; absent ones are treated as above."""
    return _shared_folder("data", "the real data sets")


def _shared_folder(name, what):
    shared = os.environ.get("KERAS_FPN_SHARED") or ROOT.parent / "shared"
    folder = pathlib.Path(shared) / name
    if folder.is_dir():
        return folder
    absent = (
        f"{what} are not in {folder}; "
        f"name the folder that holds {name}/ in KERAS_FPN_SHARED"
    )
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(absent)
    pytest.skip(absent)
