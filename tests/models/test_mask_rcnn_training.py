"""Mask R-CNN learns masks, and they are measured, by Python and by the commands."""

import json
import re

import keras
import numpy as np
import pytest
from models.tiny_masks import tiny_mask_rcnn
from PIL import Image

from keras_fpn.cli import main
from keras_fpn.data import Dataset, Loader, Objects, Photo, open_dataset
from keras_fpn.data.scenes import write_scenes
from keras_fpn.metrics import CocoEvaluation, evaluate_photos
from keras_fpn.models import MaskRCNN
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import finetuning_plan


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, 4, seed=1, size=(96, 96), objects=(1, 3))
    return open_dataset(folder)


def without_masks(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(path)
    objects = Objects(np.array([[4, 4, 40, 40]], "float32"), [0], [False])
    return Dataset((Photo(3, path, 64, 64, objects),), ("a",), (1,), name="bare")


def fitted(scenes, steps, **arguments):
    """Returns a detector trained on scenes, and what was logged."""
    model = tiny_mask_rcnn(
        filled=False,
        class_names=list(scenes.class_names),
        preprocessing=Preprocessing(96, 96),
        **arguments,
    )
    loader = Loader(scenes, model.preprocessing, 4, masks=True, fill=True)
    model.compile(keras.optimizers.Adam(0.01))
    options = {"steps_per_epoch": 1, "shuffle": False, "verbose": 0}
    history = model.fit(loader.for_fit(steps), epochs=steps, **options).history
    return model, history


@pytest.mark.ci
def test_fit_learns_and_measures_masks(scenes):
    model, history = fitted(scenes, 8)
    assert set(history) == {"loss", *model.loss_names}
    assert model.loss_names[-1] == "mask_loss"
    assert history["mask_loss"][-1] < 0.95 * history["mask_loss"][0]
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    callback = CocoEvaluation(Loader(scenes, model.preprocessing, 1))
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    expected = evaluate_photos(model, scenes)
    assert logs == pytest.approx(
        {f"val_{name}": v for name, v in expected.metrics.values.items()}
        | {f"val_mask_{name}": v for name, v in expected.masks.values.items()},
        nan_ok=True,
    )
    assert f"val_{model.monitor}" in logs
    assert all("segmentation" in result for result in expected.results)


@pytest.mark.ci
def test_data_without_masks_raise(tmp_path):
    bare = without_masks(tmp_path)
    named = tiny_mask_rcnn(class_names=["a"])
    said = r"MaskRCNN must be .* with masks; .*'bare', where 1 of 1 .*photo\.png\. "
    with pytest.raises(ValueError, match=said):
        finetuning_plan(named, bare, epochs=1, batch_size=1)
    callback = CocoEvaluation(Loader(bare, named.preprocessing, 1))
    with pytest.raises(ValueError, match=r"must all have masks.*data set 'bare'"):
        callback.set_model(named)
    loader = Loader(bare, named.preprocessing, 1)
    x, y, weight = loader.load(loader.batches(0)[0], 0)
    with pytest.raises(ValueError, match=r"without \['masks', 'mask_windows'\]"):
        named.compute_loss(x, y, named(x, training=True), weight)
    evaluation = evaluate_photos(named, bare)
    assert evaluation.masks is None
    assert "Not every object has a mask: only boxes were compared." in evaluation.notes


@pytest.mark.ci
def test_fine_tuning_trains_masks_and_says_so(scenes, tmp_path, capsys):
    model = tiny_mask_rcnn(preprocessing=Preprocessing(96, 96))
    model.save(tmp_path / "masks.keras")
    annotations = str(scenes.photos[0].path.parent.parent / "instances.json")
    run = tmp_path / "run"
    options = ["--weights", str(tmp_path / "masks.keras"), "--output", str(run)]
    sizes = ["--epochs", "1", "--batch-size", "2"]
    assert main(["finetune", annotations, *options, *sizes]) == 0
    assert re.search(
        r"Boxes and masks are trained: (\d+) of \1 objects have a mask\.",
        capsys.readouterr().out,
    )
    best = keras.models.load_model(run / "best.keras")
    assert type(best) is MaskRCNN
    assert best.class_names == list(scenes.class_names)
    assert "val_mask_AP" in (run / "history.json").read_text()


@pytest.mark.ci
def test_the_command_draws_masks_writes_them_and_measures_them(
    scenes, tmp_path, capsys
):
    model = tiny_mask_rcnn(
        class_names=list(scenes.class_names), category_ids=list(scenes.category_ids)
    )
    weights = tmp_path / "masks.keras"
    model.save(weights)
    photo = str(scenes.photos[0].path)
    found = tmp_path / "found.json"
    options = ["--weights", str(weights), "--output", str(tmp_path / "out")]
    command = ["detect", photo, *options, "--json", str(found), "--threshold", "0.3"]
    assert main(command) == 0
    results = json.loads(found.read_text())
    [expected] = model.detect(photo, score_threshold=0.3)
    assert [one["segmentation"] for one in results] == expected["masks"]
    assert len(results) > 3
    annotations = str(scenes.photos[0].path.parent.parent / "instances.json")
    assert main(["evaluate", annotations, *options]) == 0
    assert "masks:" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())
    expected = evaluate_photos(model, scenes).masks.values["AP"]
    assert numbers["masks"]["values"]["AP"] == pytest.approx(expected, nan_ok=True)
