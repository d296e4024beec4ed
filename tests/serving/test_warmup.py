import sys

import pytest
import tensorflow as tf
from serving.conftest import FixedDetector

from keras_fpn.export import export_saved_model
from keras_fpn.preprocessing import Preprocessing

pytestmark = pytest.mark.tensorflow_only


def requests(folder):
    """Returns the warm-up requests of a version, list of PredictRequest."""
    messages = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="no extra `serving`"
    )
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    return [
        messages.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(path))
    ]


def test_every_warm_up_request_is_answered_by_its_signature(exported, ask, tmp_path):
    pytest.importorskip("tensorflow_serving", reason="no extra `serving`")
    from keras_fpn.serving.warmup_tensorflow import write_warmup

    signatures = ["serving_default", "image_tensor", "tf_example", "xyxy"]
    (tmp_path / "assets.extra").mkdir()
    write_warmup(tmp_path / "assets.extra", "tiny", signatures)
    asked = []
    for request in requests(tmp_path):
        assert request.model_spec.name == "tiny"
        asked.append(request.model_spec.signature_name)
        outputs = ask(tf.make_ndarray(request.inputs["inputs"]), asked[-1])
        assert outputs["status"].tolist() == [b"ok"]
    assert sorted(asked) == sorted(signatures * 4)


@pytest.mark.parametrize("directory", [".", "{}"])
def test_warm_up_names_the_model_as_its_folder_is_named(
    tmp_path, monkeypatch, directory
):
    pytest.importorskip("tensorflow_serving", reason="no extra `serving`")
    model = FixedDetector(Preprocessing(min_size=32, max_size=32))
    folder = tmp_path / "detector"
    folder.mkdir()
    monkeypatch.chdir(folder)
    export_saved_model(model, directory.format(folder), warmup=True)
    names = [request.model_spec.name for request in requests(folder / "1")]
    assert names == ["detector"] * 12


def test_without_the_messages_warm_up_is_refused_before_the_export(
    detector, tmp_path, monkeypatch
):
    name = "keras_fpn.serving.warmup_tensorflow"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    message = r'-m pip install "keras-fpn\[serving\]"'
    with pytest.raises(ImportError, match=message):
        export_saved_model(detector, tmp_path, warmup=True)
    assert list(tmp_path.iterdir()) == []
