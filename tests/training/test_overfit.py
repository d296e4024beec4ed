"""What a detector that can learn must be able to do: know a few photos by heart."""

import dataclasses

import keras
import pytest

import keras_fpn
from keras_fpn.backbones import mobilenet_v2
from keras_fpn.data import open_dataset
from keras_fpn.layers import FeaturePyramid, MultiLevelAnchors, Proposals, TwoFCBoxHead
from keras_fpn.models import Assignment
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import TrainingPlan, WarmupCosine
from keras_fpn.training.fit import prepare_training
from keras_fpn.weights import load_imagenet

PHOTOS = 16
ANCHOR_SIZES = {"P2": (16,), "P3": (32,), "P4": (64,), "P5": (128,), "P6": (256,)}


def plan(weights):
    def build(class_names, category_ids):
        model = keras_fpn.models.faster_rcnn_fpn(
            backbone=mobilenet_v2(),
            neck=FeaturePyramid(96, norm="group", name="neck"),
            anchors=MultiLevelAnchors(ANCHOR_SIZES, name="anchors"),
            proposals=Proposals(1000, 300, 1000, 500, name="proposals"),
            box_head=TwoFCBoxHead(256, name="box_head"),
            preprocessing=Preprocessing(320, 480, mean=(0.5,) * 3, std=(0.5,) * 3),
            roi_assignment=Assignment(0.5, 0.5, False, 128, 0.25),
            class_names=class_names,
            category_ids=category_ids,
        )
        load_imagenet(model.backbone, weights)
        return model

    return TrainingPlan(
        name="overfit",
        build=build,
        steps=480,
        batch_size=4,
        learning_rate=1e-3,
        schedule=lambda rate, _, total: WarmupCosine(rate, total, 0.01, 40),
        optimizer=lambda rate: keras.optimizers.AdamW(rate, global_clipnorm=10.0),
    )


@pytest.mark.slow
def test_sixteen_photos_of_coco_are_learnt_by_heart(data_folder, tmp_path):
    file = data_folder / "coco_cc" / "instances_train_seg.json"
    photos = open_dataset(file, report=lambda report: None)
    few = dataclasses.replace(photos, photos=photos.photos[:PHOTOS], name="16 photos")
    weights = data_folder / "weights" / "mobilenet_v2_imagenet.npz"
    training = prepare_training(plan(weights), few, tmp_path / "run")
    training.run()
    evaluation = keras_fpn.metrics.CocoEvaluation(
        keras_fpn.data.Loader(few, training.model.preprocessing, 1)
    )
    evaluation.set_model(training.model)
    found = evaluation.evaluate().values
    print(f"AP {found['AP']:.3f}, AP50 {found['AP50']:.3f}")
    assert found["AP50"] > 0.9
