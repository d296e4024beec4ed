"""Trains a tiny detector from random weights: `python train_a_few.py RESULT`.

It memorizes a few generated pictures, and writes into the JSON file RESULT the losses
of each step and its detections in the pictures at the end.
"""

import json
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import keras  # noqa: E402
from models.tiny import tiny_backbone  # noqa: E402

import keras_fpn  # noqa: E402
from keras_fpn.data import Loader  # noqa: E402
from keras_fpn.data.scenes import scene_dataset  # noqa: E402
from keras_fpn.layers import (  # noqa: E402
    FeaturePyramid,
    MultiLevelAnchors,
    Proposals,
    TwoFCBoxHead,
)
from keras_fpn.preprocessing import Preprocessing  # noqa: E402

PICTURES, STEPS = 4, 200


def model_of(dataset):
    """A detector of two levels and about 100,000 weights."""
    sizes = {"P3": (12,), "P4": (20,), "P5": (40,)}
    return keras_fpn.models.faster_rcnn_fpn(
        backbone=tiny_backbone(("C3", "C4"), channels=24),
        neck=FeaturePyramid(24, norm="group", name="neck"),
        anchors=MultiLevelAnchors(sizes, name="anchors"),
        proposals=Proposals(60, 30, 60, 30, name="proposals"),
        box_head=TwoFCBoxHead(48, name="box_head"),
        preprocessing=Preprocessing(64, 64),
        class_names=dataset.class_names,
        category_ids=dataset.category_ids,
    )


def main(result):
    keras.utils.set_random_seed(1)
    dataset = scene_dataset(
        PICTURES, seed=3, size=(64, 64), objects=(1, 2), sides=(16, 32)
    )
    model = model_of(dataset)
    # At a constant rate the last steps, and with them the result, are left to rounding.
    rate = keras.optimizers.schedules.CosineDecay(3e-3, STEPS)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=10.0))
    loader = Loader(dataset, model.preprocessing, PICTURES)
    x, y, _ = loader.load(loader.batches(0)[0], epoch=0)
    losses = []
    for _ in range(STEPS):
        model.reset_metrics()
        logs = model.train_on_batch(x, y, return_dict=True)
        losses.append({name: float(value) for name, value in logs.items()})
    found = model.detect([photo.path for photo in dataset.photos])
    written = {
        "losses": losses,
        "found": [{name: one[name].tolist() for name in one} for one in found],
        "boxes": y["boxes"].tolist(),
        "labels": y["labels"].tolist(),
    }
    pathlib.Path(result).write_text(json.dumps(written))


if __name__ == "__main__":
    main(sys.argv[1])
