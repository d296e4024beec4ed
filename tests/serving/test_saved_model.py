import io
import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from skimage import data

from keras_fpn.export import export_saved_model
from keras_fpn.preprocessing import Preprocessing, read_photo, resize

BOX_TOLERANCE = 0.01  # pixels; resizing rounds positions in another place
SCORE_TOLERANCE = 1e-4
LEVEL_TOLERANCE = 0.05  # of 255, in a resized photo

# A fresh process in which neither keras nor keras_fpn can be imported.
PLAIN = """
import json, resource, sys

sys.modules["keras"] = sys.modules["keras_fpn"] = None  # importing them fails
import numpy as np
import tensorflow as tf

folder, answers, bomb, *files = sys.argv[1:]
loaded = tf.saved_model.load(folder)
serve = loaded.signatures["serving_default"]
contents = [open(name, "rb").read() for name in files]
batches = [[one] for one in contents] + [contents]
results = {}
for i, batch in enumerate(batches):
    for name, value in serve(inputs=tf.constant(batch)).items():
        value = value.numpy()
        results[f"{i}/{name}"] = value.astype("S") if name == "status" else value
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
refused = serve(inputs=tf.constant([open(bomb, "rb").read()] * 2))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
results["bomb"] = np.asarray(refused["status"].numpy(), "S")
np.savez(answers, **results)
print(json.dumps({
    "bomb_kib": after - before,
    "imported": [n for n in sys.modules if n.startswith(("keras.", "keras_fpn."))],
}))
"""


def detect_equals(detected, outputs, place):
    """Asserts that a photo's place in the outputs says what `detect` does."""
    count = len(detected["scores"])
    assert count > 0
    assert outputs["num_detections"][place] == count
    boxes = outputs["detection_boxes"][place]
    np.testing.assert_allclose(
        boxes[:count][:, [1, 0, 3, 2]], detected["boxes"], atol=BOX_TOLERANCE
    )
    np.testing.assert_allclose(
        outputs["detection_scores"][place, :count],
        detected["scores"],
        atol=SCORE_TOLERANCE,
    )
    ids = np.array([17, 18, 48])[detected["labels"]]
    np.testing.assert_array_equal(outputs["detection_classes"][place, :count], ids)
    assert not boxes[count:].any()
    assert (outputs["detection_classes"][place, count:] == -1).all()


@pytest.fixture(scope="module")
def photo_files(tmp_path_factory):
    """Files of six sizes and kinds: JPEG and PNG; color, gray, alpha, palette."""
    folder = tmp_path_factory.mktemp("photos")
    coffee, cat = Image.fromarray(data.coffee()), Image.fromarray(data.chelsea())
    space = Image.fromarray(data.astronaut())
    alpha = Image.fromarray(np.dstack([data.coffee(), data.coffee()[..., :1]]))
    for name, image, options in (
        ("color.jpg", coffee, {"quality": 80}),
        ("portrait.jpg", cat.crop((0, 0, 180, 300)), {"subsampling": 0}),
        ("progressive.jpg", space, {"progressive": True}),
        ("gray.jpg", cat.convert("L"), {}),
        ("gray.png", space.convert("L").resize((301, 199)), {}),
        ("alpha.png", alpha.resize((333, 111)), {}),
        ("palette.png", cat.convert("P", palette=Image.Palette.ADAPTIVE), {}),
    ):
        image.save(folder / name, **options)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def plain_answers(exported, photo_files, tmp_path_factory):
    """What a process without Keras said: dict of arrays; and dict of what it saw."""
    folder = tmp_path_factory.mktemp("plain")
    bomb = folder / "bomb.png"
    Image.new("1", (12000, 12000)).save(bomb)  # decoded to RGB, 412 MiB
    arguments = [exported, folder / "answers.npz", bomb, *photo_files]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, *map(str, arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "answers.npz") as answers:
        return dict(answers), json.loads(done.stdout.splitlines()[-1])


def part(answers, number):
    return {
        name.split("/")[1]: value
        for name, value in answers.items()
        if name.startswith(f"{number}/")
    }


@pytest.mark.tensorflow_only
def test_without_keras_each_photo_is_answered_as_detect_does(
    plain_answers, photo_files, detector
):
    answers, seen = plain_answers
    assert seen["imported"] == []
    for number, path in enumerate(photo_files):
        [detected] = detector.detect(str(path))
        outputs = part(answers, number)
        assert outputs["status"].tolist() == [b"ok"], path.name
        detect_equals(detected, outputs, 0)


@pytest.mark.tensorflow_only
def test_a_batch_of_mixed_sizes_is_answered_as_detect_does(
    plain_answers, photo_files, detector
):
    names = [str(path) for path in photo_files]
    outputs = part(plain_answers[0], len(names))
    for place, detected in enumerate(detector.detect(names, batch_size=len(names))):
        detect_equals(detected, outputs, place)


@pytest.mark.tensorflow_only
def test_a_png_bomb_is_refused_before_it_takes_memory(plain_answers):
    answers, seen = plain_answers
    assert answers["bomb"].tolist() == [b"too_many_pixels"] * 2
    assert seen["bomb_kib"] < 64 * 1024


@pytest.mark.tensorflow_only
def test_the_folder_is_what_a_server_expects(exported):
    assert exported.name == "1"
    names = {path.name for path in exported.iterdir()}
    assert {"saved_model.pb", "variables", "assets.extra"} <= names
    classes = json.loads((exported / "assets.extra" / "classes.json").read_text())
    assert classes == [
        {"id": 17, "name": "cat"},
        {"id": 18, "name": "dog"},
        {"id": 48, "name": "fork"},
    ]


@pytest.mark.tensorflow_only
def test_weights_are_in_their_files_once_and_frozen_ones_in_the_graph(
    exported, exported_frozen, ask, detector
):
    import tensorflow as tf

    count = sum(weight.numpy().nbytes for weight in detector.weights)
    stored = [
        sum(p.stat().st_size for p in (folder / "variables").iterdir())
        for folder in (exported, exported_frozen)
    ]
    assert count < stored[0] < count + 32_000  # names and shapes
    assert stored[1] < 1024
    largest = max((weight.numpy() for weight in detector.weights), key=np.size)
    for folder, places in ((exported, 0), (exported_frozen, 1)):
        graph = (folder / "saved_model.pb").read_bytes()
        assert graph.count(largest.tobytes()) == places
    photo = data.coffee()[None]
    loaded = tf.saved_model.load(str(exported_frozen))
    outputs = loaded.signatures["image_tensor"](inputs=photo)
    for name, value in ask(photo, "image_tensor").items():
        if name != "status":
            np.testing.assert_allclose(value, outputs[name], atol=1e-3)


@pytest.mark.tensorflow_only
def test_a_large_photo_is_read_and_resized_as_detect_does():

    from keras_fpn.serving.read_photos_tensorflow import PhotoReader

    large = Image.fromarray(data.coffee()).resize((4000, 3000), Image.Resampling.BOX)
    file = io.BytesIO()
    large.save(file, "JPEG", quality=90)
    reader = PhotoReader(Preprocessing(), 64_000_000)
    status, pixels, size = reader.encoded(file.getvalue())
    assert (status, size.numpy().tolist()) == (b"ok", [3000, 4000])
    expected = resize(read_photo(Image.open(file)), (800, 1066))
    np.testing.assert_allclose(pixels, expected, atol=LEVEL_TOLERANCE)


@pytest.mark.tensorflow_only
def test_the_documentation_shows_what_tensorflows_own_tool_shows(
    exported, repository_root
):
    command = [
        *(sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "show"),
        *("--dir", str(exported), "--tag_set", "serve"),
        *("--signature_def", "serving_default"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    page = (repository_root / "docs" / "serving.md").read_text("utf-8")
    [shown] = re.findall(r"```text\n\$ saved_model_cli show .*\n([^`]*)```", page)
    assert shown.split() == done.stdout.split()


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 0}, "at least 1; received version=0"),
        ({"max_pixels": 0}, "max_pixels must be at least 1; received max_pixels=0"),
        ({"max_photos": 0}, "max_photos must be at least 1; received max_photos=0"),
    ],
)
def test_options_out_of_range_are_refused(detector, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_saved_model(detector, tmp_path / "m", **options)
    assert not (tmp_path / "m").exists()


def test_another_backend_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"received KERAS_BACKEND=jax\. Save the"):
        export_saved_model(None, tmp_path)


@pytest.mark.parametrize("limits", [(800, 1333), (97, 180)])
def test_antialiased_pixels_are_those_of_pillow_but_for_rounding(limits):
    from keras_fpn.serving.read_photos_tensorflow import OK, PhotoReader

    preprocessing = Preprocessing(*limits, resize_rule="detectron2")
    reader = PhotoReader(preprocessing, 64_000_000)
    generator = np.random.default_rng(0)
    for size in ((431, 777), (300, 451), (640, 480)):
        photo = generator.integers(0, 256, (*size, 3)).astype(np.uint8)
        inputs, [resized] = preprocessing.prepare([photo])
        wanted = inputs["images"][0, : resized[0], : resized[1]]
        status, pixels, _ = reader.pixels(photo)
        assert status == OK.encode()
        difference = np.abs(pixels - wanted)
        assert difference.max() <= 2  # rounded twice
        assert (difference > 0).mean() < 0.02
