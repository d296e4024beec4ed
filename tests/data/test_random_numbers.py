"""Random numbers as a function of seed, epoch, image and purpose."""

import numpy as np
import pytest

from keras_fpn.data import random_generator


def numbers(*args, **kwargs):
    return tuple(random_generator(*args, **kwargs).integers(0, 1 << 62, 4).tolist())


def test_equal_arguments_give_equal_numbers_in_any_order_of_asking():
    first = {image_id: numbers(3, 1, image_id) for image_id in range(20)}
    np.random.default_rng(0).random(5)
    again = {image_id: numbers(3, 1, image_id) for image_id in reversed(range(20))}
    assert first == again
    assert numbers(np.int64(3), np.int32(1), np.int64(5)) == first[5]


def test_drawing_from_one_generator_leaves_the_others_alone():
    one, other = random_generator(0, 0, 1), random_generator(0, 0, 1)
    one.random(100)
    assert tuple(other.integers(0, 1 << 62, 4).tolist()) == numbers(0, 0, 1)


def test_every_argument_matters():
    variants = [
        (0, 0, 0, "augment"),
        (1, 0, 0, "augment"),
        (0, 1, 0, "augment"),
        (0, 0, 1, "augment"),
        (0, 0, 0, "shuffle"),
        (0, 0, 0, ""),
        (0, 1 << 32, 0, "augment"),  # a word further on
        (0, 0, 1 << 32, "augment"),
        (-1, 0, 0, "augment"),
    ]
    assert len({numbers(*variant) for variant in variants}) == len(variants)
    assert numbers(0, 0, 0) == numbers(0, 0, 0, purpose="augment")


def test_first_numbers_of_neighbouring_images_and_epochs_are_even():
    grid = [[random_generator(0, e, i).random() for i in range(50)] for e in range(40)]
    assert abs(np.mean(grid) - 0.5) < 4 * np.sqrt(1 / 12 / 2000)  # 4 standard errors
    between = np.corrcoef(np.ravel(grid)[:-1], np.ravel(grid)[1:])[0, 1]
    assert abs(between) < 4 / np.sqrt(2000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, 0, 0), r"seed must be an integer; received seed=0\.5"),
        ((0, None, 0), "epoch must be an integer; received epoch=None"),
        ((0, 0, "7"), "image_id must be an integer; received image_id='7'"),
        ((True, 0, 0), "received seed=True"),
        ((0, 0, 0, 3), "purpose must be a str; received purpose=3"),
    ],
)
def test_what_is_no_number_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        random_generator(*arguments)


def test_the_module_that_documentation_named_still_has_it():
    from keras_fpn.data import chance

    assert chance.generator is random_generator
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = chance.no_such_name
