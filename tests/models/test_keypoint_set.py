"""Names, pairs, lines and sigmas of keypoints."""

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from keras_fpn.data.coco import flip_pairs
from keras_fpn.models import COCO_PERSON, KeypointSet
from keras_fpn.models.keypoint_set import keypoint_set


def test_the_persons_of_coco_have_its_keypoints():
    assert len(COCO_PERSON) == 17
    assert COCO_PERSON.flip_pairs == flip_pairs(COCO_PERSON.names)
    sigmas = Params(iouType="keypoints").kpt_oks_sigmas
    np.testing.assert_allclose(COCO_PERSON.sigmas, sigmas)
    assert len(COCO_PERSON.skeleton) == 19
    joined = [[COCO_PERSON.names[index] for index in p] for p in COCO_PERSON.skeleton]
    assert ["left_ankle", "left_knee"] in joined


def test_others_have_a_sigma_of_a_tenth_unless_given():
    assert KeypointSet(("a", "b")).sigmas == (0.1, 0.1)
    assert KeypointSet(("a", "b"), sigmas=(0.2, 0.3)).sigmas == (0.2, 0.3)
    assert keypoint_set(["a", "b"], [[0, 1]], [[1, 0]]) == KeypointSet(
        ("a", "b"), ((0, 1),), ((1, 0),)
    )
    assert keypoint_set(list(COCO_PERSON.names)) is COCO_PERSON


def test_a_set_is_what_its_config_says():
    config = COCO_PERSON.get_config()
    assert KeypointSet.from_config(config) == COCO_PERSON


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ()}, "received names="),
        ({"names": ("a",), "flip_pairs": ((0, 1),)}, r"0\.\.0; received flip_pairs"),
        ({"names": ("a",), "skeleton": ((-1, 0),)}, r"received skeleton=\(\(-1"),
        ({"names": ("a",), "sigmas": (0.1, 0.2)}, r"1 keypoints; received sigmas"),
        ({"names": ("a",), "sigmas": (0.0,)}, r"received sigmas=\(0.0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        KeypointSet(**arguments)
