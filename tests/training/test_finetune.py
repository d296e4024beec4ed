import pathlib
import types

import keras
import pytest
from models.tiny import tiny_detector
from models.tiny_panoptic import tiny_panoptic_fpn

from keras_fpn.data import Dataset, Objects, Photo
from keras_fpn.data.scenes import scene_dataset
from keras_fpn.layers import ConvNorm
from keras_fpn.models import StuffSet
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.training import finetune
from keras_fpn.training.finetune import (
    default_batch_size,
    default_epochs,
    finetuning_plan,
    has_accelerator,
)


@pytest.fixture(scope="module")
def source():
    return tiny_detector(class_names=["ant", "bee", "cow"])


def dataset(count=40, objects=1, flip_pairs=()):
    boxes = Objects([[0, 0, 5, 5]] * objects, [0] * objects, [False] * objects)
    photos = [Photo(i, pathlib.Path(f"{i}.png"), 50, 60, boxes) for i in range(count)]
    return Dataset(photos, ("bee", "dog"), (1, 2), flip_pairs=flip_pairs, name="pets")


@pytest.mark.parametrize(
    ("photos", "batch_size", "epochs"),
    [
        (205, 4, 39),  # 52 steps per epoch, 2028 in total
        (16, 2, 100),  # 250 would be needed
        (5000, 4, 12),  # 2 would be enough
    ],
)
def test_there_are_2000_steps_in_12_to_100_epochs(photos, batch_size, epochs):
    assert default_epochs(photos, batch_size) == epochs


@pytest.mark.parametrize(
    ("min_size", "accelerated", "batch_size"),
    [
        (320, False, 4),  # 5.5 images of 320 x 427 are 0.75 million pixels
        (800, False, 2),
        (320, True, 16),
        (800, True, 4),  # 7.0 images of 800 x 1067 are 6 million pixels
    ],
)
def test_small_images_and_accelerators_make_large_batches(
    min_size, accelerated, batch_size
):
    sizes = Preprocessing(min_size, min_size * 5 // 3)
    assert default_batch_size(sizes, 1000, 1, accelerated) == batch_size


def test_few_photos_make_small_batches_and_replicas_get_equal_shares():
    sizes = Preprocessing(320, 533)
    assert default_batch_size(sizes, 100, 1, True) == 4  # 6 would make 16 steps
    assert default_batch_size(sizes, 1, 1, True) == 2
    assert default_batch_size(sizes, 1000, 3, True) == 48
    assert default_batch_size(sizes, 10, 3, True) == 6


def test_a_cpu_is_no_accelerator(monkeypatch):
    for devices, expected in ((["cpu:0"], False), (["gpu:0", "gpu:1"], True)):
        monkeypatch.setattr(keras.distribution, "list_devices", lambda d=devices: d)
        assert has_accelerator() == expected


def test_the_defaults_follow_the_data(source, monkeypatch):
    monkeypatch.setattr(finetune, "has_accelerator", lambda: False)
    plan = finetuning_plan(source, dataset(40))
    assert (plan.batch_size, plan.epochs, plan.steps) == (2, 100, None)
    assert plan.learning_rate == pytest.approx(0.02 * 2 / 16)
    assert plan.shapes == "buckets"


def test_what_is_said_is_taken(source):
    plan = finetuning_plan(
        source,
        dataset(),
        "mine",
        epochs=3,
        batch_size=5,
        learning_rate=0.1,
        min_size=48,
    )
    assert (plan.name, plan.epochs, plan.batch_size) == ("mine", 3, 5)
    assert plan.learning_rate == 0.1
    model = plan.build(["bee", "dog"], [1, 2])
    assert model.class_names == ["bee", "dog"]
    sizes = model.preprocessing.min_size, model.preprocessing.max_size
    assert sizes == (48, 80)  # of 96 and 160


def test_the_rate_rises_for_a_tenth_of_the_steps_and_falls_to_a_hundredth(source):
    plan = finetuning_plan(source, dataset(), batch_size=16)
    schedule = plan.schedule(plan.learning_rate, 10, 1000)
    assert float(schedule(0)) == pytest.approx(0.02 * 0.001)
    assert float(schedule(100)) > 0.019  # the cosine has begun to fall
    assert float(schedule(1000)) == pytest.approx(0.0002)
    assert plan.schedule(0.02, 10, 100_000).warmup_steps == 500
    assert plan.schedule(0.02, 1, 1).warmup_steps == 0


def test_gradients_are_clipped_and_weights_decay(source):
    optimizer = finetuning_plan(source, dataset()).optimizer(0.1)
    assert optimizer.global_clipnorm == 10.0
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 1e-4)


def test_photos_are_flipped_with_their_keypoints(source):
    [flip] = finetuning_plan(source, dataset(flip_pairs=((0, 1),))).augment
    assert flip.flip_pairs == ((0, 1),)


@pytest.mark.parametrize(
    ("levels", "norm", "frozen"),
    [
        (("C2", "C3"), "frozen_batch", "C2"),
        (("C2", "C3"), "batch", "C2"),
        (("C2", "C3"), "group", None),
        (("C2", "C3"), None, None),
        (("C3", "C4"), "frozen_batch", None),
    ],
)
def test_what_large_data_have_normalised_is_frozen_through_c2(levels, norm, frozen):
    images = keras.Input((None, None, 3))
    maps = {name: ConvNorm(8, 3, 2, norm=norm, name=name)(images) for name in levels}
    source = types.SimpleNamespace(
        backbone=keras.Model(images, maps),
        preprocessing=Preprocessing(),
        targets=("boxes", "labels"),
        keypoint_set=None,
        stuff_set=None,
    )
    assert finetuning_plan(source, dataset()).frozen_through == frozen


def test_without_any_object_there_is_nothing_to_learn(source):
    with pytest.raises(ValueError, match=r"must show objects; .* 'pets', 7 photos"):
        finetuning_plan(source, dataset(7, objects=0))


def test_a_model_of_semantic_maps_needs_pixel_labels():
    source = types.SimpleNamespace(targets=("semantic_map",))
    with pytest.raises(
        ValueError, match=r"received the data set 'pets', where 40 of 40 .*such as 0\."
    ):
        finetuning_plan(source, dataset())


def test_a_panoptic_detector_gets_the_stuff_of_the_data():
    scenes = scene_dataset(2, size=(64, 64), stuff=True)
    source = tiny_panoptic_fpn(False, stuff=StuffSet(("sky", scenes.stuff_names[1])))
    plan = finetuning_plan(source, scenes)
    model = plan.build(scenes.class_names, scenes.category_ids)
    assert tuple(model.stuff_names) == tuple(scenes.stuff_names)
    assert tuple(model.stuff_ids) == tuple(scenes.stuff_ids)
    assert len(model.class_names) == len(scenes.class_names)
