"""Every kind of detector learns a few scenes by heart."""

import keras
import numpy as np
import pytest
from training.small_family import FAMILY, detector, extremes, written_scenes

from keras_fpn.data import Loader
from keras_fpn.metrics import evaluate_photos

STEPS = 300
METRIC = {"semantic": "mIoU", "panoptic": "PQ"}


def test_the_points_are_where_the_shape_ends():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:8] = True
    expected = [[5.5, 2.5, 2], [5.5, 4.5, 2], [3.5, 3.5, 2], [7.5, 3.5, 2]]
    np.testing.assert_array_equal(extremes(mask), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY)
def test_a_few_scenes_are_learned_by_heart(tmp_path, name):
    *_, kind, least = FAMILY[name]
    keras.utils.set_random_seed(0)
    scenes = written_scenes(tmp_path, name)
    model = detector(name, scenes)

    def measured():
        values = getattr(evaluate_photos(model, scenes), kind).values
        return values[METRIC.get(kind, "AP")]

    loader = Loader(
        scenes,
        model.preprocessing,
        4,
        masks="masks" in model.targets,
        semantic="semantic_map" in model.targets,
    )
    rate = keras.optimizers.schedules.CosineDecay(0.002, STEPS)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=10.0))
    before = measured()
    batches = loader.for_fit(STEPS)
    model.fit(batches, epochs=1, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    after = measured()
    print(f"{name}: {before:.3f} -> {after:.3f}")
    assert before < least / 4
    assert after > least
