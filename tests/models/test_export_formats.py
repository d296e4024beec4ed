import re

import keras
import pytest

from keras_fpn.models import export_formats
from keras_fpn.models.export_formats import check_export_folder, check_export_format


@pytest.mark.parametrize("name", ["onnx", "litert", "openvino", "torch", "h5", None])
def test_other_formats_are_refused(name):
    with pytest.raises(ValueError, match=f"received format={name!r}: "):
        check_export_format(name)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_saved_model_is_for_tensorflow_alone(monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    if backend == "tensorflow":
        check_export_format("tf_saved_model")
        return
    with pytest.raises(ValueError, match="received KERAS_BACKEND=jax"):
        check_export_format("tf_saved_model")


@pytest.mark.parametrize("name", ["m", "a.b/m", "m.v2", "m.keras", "onnx"])
def test_folders_may_have_any_other_name(name):
    check_export_folder(name)


@pytest.mark.parametrize("suffix", sorted(export_formats._SUFFIXES))
def test_names_of_files_of_other_formats_are_refused(suffix):
    for directory in (f"folder/m{suffix}", f"m{suffix.upper()}"):
        message = re.escape(f"received directory={directory!r}, a name of format")
        with pytest.raises(ValueError, match=message):
            check_export_folder(directory)
