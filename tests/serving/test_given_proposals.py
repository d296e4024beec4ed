"""A detector that takes proposals is served with them, in each photo's own pixels."""

import numpy as np
import pytest
from models.fast import tiny_fast_rcnn
from serving.conftest import CLASSES, encoded
from skimage import data

from keras_fpn.export import export_saved_model

pytestmark = pytest.mark.tensorflow_only

COFFEE, CAT = data.coffee(), data.chelsea()
PROPOSALS = [
    np.array([[40, 30, 300, 200], [100.5, 90, 400, 380], [0, 0, 600, 400]], "float32"),
    np.array([[20, 10, 200, 250]], "float32"),
]
SWAPPED = [1, 0, 3, 2]


@pytest.fixture(scope="module")
def fast():
    return tiny_fast_rcnn(**CLASSES)


@pytest.fixture(scope="module")
def serve(fast, tmp_path_factory):
    """Returns the outputs of a signature for photos and proposals."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("models") / "fast"
    loaded = tf.saved_model.load(str(export_saved_model(fast, folder, with_xyxy=True)))

    def ask(photos, proposals, signature="serving_default"):
        function = loaded.signatures[signature]
        answer = function(
            inputs=tf.constant(photos), proposals=tf.constant(proposals, tf.float32)
        )
        return {name: value.numpy() for name, value in answer.items()}

    ask.signatures = loaded.signatures
    return ask


def padded(proposals, rows=4):
    """Proposals as one array (B, rows, 4)."""
    given = np.zeros((len(proposals), rows, 4), np.float32)
    for row, boxes in zip(given, proposals, strict=True):
        row[: len(boxes)] = boxes
    return given


def check(outputs, index, found):
    count = len(found["scores"])
    assert outputs["num_detections"][index] == count > 0
    boxes = outputs["detection_boxes"][index, :count, SWAPPED]
    np.testing.assert_allclose(boxes.T, found["boxes"], atol=0.02)
    scores = outputs["detection_scores"][index, :count]
    np.testing.assert_allclose(scores, found["scores"], atol=1e-4)


def test_every_signature_takes_photos_and_proposals(serve):
    for name, function in serve.signatures.items():
        specs = function.structured_input_signature[1]
        assert set(specs) == {"inputs", "proposals"}, name
        assert specs["proposals"].shape.as_list() == [None, None, 4]


def test_photos_are_answered_as_detect_answers(serve, fast):
    files = [encoded(photo, "PNG") for photo in (COFFEE, CAT)]
    expected = fast.detect([COFFEE, CAT], proposals=PROPOSALS, batch_size=2)
    outputs = serve(files, padded(PROPOSALS)[..., SWAPPED])
    for index, found in enumerate(expected):
        check(outputs, index, found)
    own = serve(files, padded(PROPOSALS), "xyxy")
    np.testing.assert_array_equal(own["scores"], outputs["detection_scores"])
    pixels = serve(COFFEE[None], padded(PROPOSALS[:1])[..., SWAPPED], "image_tensor")
    check(pixels, 0, fast.detect(COFFEE, proposals=PROPOSALS[0])[0])


def test_proposals_have_the_form_of_the_boxes_that_come_out(fast, tmp_path):
    import tensorflow as tf

    folder = export_saved_model(fast, tmp_path / "fast", normalized_boxes=True)
    serve = tf.saved_model.load(str(folder)).signatures["image_tensor"]
    sides = np.array([*COFFEE.shape[:2]] * 2, "float32")
    given = padded(PROPOSALS[:1])[..., SWAPPED] / sides
    found = serve(inputs=tf.constant(COFFEE[None]), proposals=tf.constant(given))
    outputs = {name: value.numpy() for name, value in found.items()}
    outputs["detection_boxes"] = outputs["detection_boxes"] * sides
    check(outputs, 0, fast.detect(COFFEE, proposals=PROPOSALS[0])[0])


def test_what_is_no_box_in_its_photo_counts_as_padding(serve):
    def ask(given):
        return serve([encoded(COFFEE, "PNG")], given[..., SWAPPED])

    expected = ask(padded(PROPOSALS[:1], 8))
    wrong = padded(PROPOSALS[:1], 8)
    wrong[0, 3:7] = [
        [np.nan, 10, 50, 50],
        [90, 10, 50, 50],
        [90, 90, 50, 50],  # both are swapped: a positive area
        [700, 10, 800, 50],
    ]
    for name, value in ask(wrong).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    beyond = padded(PROPOSALS[:1])
    beyond[0, 2] = [-50, -5, 1e6, 500]  # the whole photo, once it is clipped
    found = ask(beyond)
    np.testing.assert_array_equal(found["num_detections"], expected["num_detections"])
    boxes = found["detection_boxes"], expected["detection_boxes"]
    np.testing.assert_allclose(*boxes, atol=1e-3)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_photo_without_proposals_has_no_detections(serve, rows):
    outputs = serve([encoded(COFFEE)], np.zeros((1, rows, 4)))
    assert outputs["num_detections"].tolist() == [0]
    assert outputs["status"].tolist() == [b"ok"]


def test_a_photo_that_cannot_be_read_fails_alone(serve, fast):
    files = [b"no photo", encoded(COFFEE, "PNG")]
    given = padded([PROPOSALS[0]] * 2)[..., SWAPPED]
    outputs = serve(files, given)
    assert outputs["status"].tolist() == [b"not_jpeg_or_png", b"ok"]
    assert outputs["num_detections"][0] == 0
    check(outputs, 1, fast.detect(COFFEE, proposals=PROPOSALS[0])[0])


def test_an_empty_request_has_an_empty_answer(serve):
    outputs = serve(np.zeros((0,), object).astype(bytes), np.zeros((0, 2, 4)))
    assert outputs["detection_boxes"].shape == (0, 20, 4)


def test_there_must_be_proposals_for_each_photo(serve):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match="for each photo"):
        serve([encoded(COFFEE)], np.zeros((2, 3, 4)))


def test_photos_beyond_the_limit_of_a_request_need_their_rows_too(fast, tmp_path):
    import tensorflow as tf

    folder = export_saved_model(fast, tmp_path / "fast", max_photos=1)
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    given = tf.constant(padded([PROPOSALS[0]] * 2)[..., SWAPPED])
    found = serve(inputs=tf.constant([encoded(COFFEE)] * 2), proposals=given)
    assert found["status"].numpy().tolist() == [b"ok", b"too_many_photos"]
    assert found["num_detections"].numpy()[0] > 0


def test_requests_for_warm_up_have_proposals(fast, tmp_path):
    pytest.importorskip("tensorflow_serving")
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    folder = export_saved_model(fast, tmp_path / "fast", warmup=True)
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    loaded = tf.saved_model.load(str(folder))
    for record in tf.data.TFRecordDataset(str(file)).take(1):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        answer = loaded.signatures[request.model_spec.signature_name](**inputs)
        assert answer["status"].numpy().tolist() == [b"ok"]
