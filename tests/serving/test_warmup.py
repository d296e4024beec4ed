import importlib
import sys

import pytest
import tensorflow as tf

from keras_fpn.serving import export_saved_model

pytestmark = pytest.mark.tensorflow_only


def test_warm_up_requests_are_answered_by_every_signature(exported, ask):
    from tensorflow_serving.apis import prediction_log_pb2

    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    asked = {}
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "tiny"
        signature = request.model_spec.signature_name
        asked.setdefault(signature, []).append(request.inputs["inputs"])
    assert set(asked) == {"serving_default", "image_tensor", "tf_example", "xyxy"}
    for signature, [request, *others] in asked.items():
        assert len(others) == 3
        outputs = ask(tf.make_ndarray(request), signature)
        assert outputs["status"].tolist() == [b"ok"]


def test_without_the_messages_warm_up_is_refused_before_the_export(
    detector, tmp_path, monkeypatch
):
    name = "keras_fpn.serving.warmup_tensorflow"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    message = r"pip install 'keras-fpn\[serving\]'"
    with pytest.raises(ImportError, match=message):
        export_saved_model(detector, tmp_path, warmup=True)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    importlib.import_module(name)
