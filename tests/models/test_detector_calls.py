"""What a detector does while training and not, and what it makes of its losses."""

import types

import keras
import numpy as np
import pytest
from models.tiny import tiny_backbone, tiny_detector
from on_backend import arrays, outputs_of

from keras_fpn.layers import Proposals
from keras_fpn.models import detector
from keras_fpn.models.limits import check_limits, check_whole_number, shared_limits

SIDE = 64


@pytest.fixture(scope="module")
def model():
    """A detector of one proposal in training and of 50 else."""
    return tiny_detector(
        backbone=tiny_backbone(("C3", "C4")),
        proposals=Proposals(100, 50, 100, 1, name="proposals"),
    )


@pytest.fixture(scope="module")
def inputs():
    images = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3))
    return {
        "images": images.astype("float32"),
        "image_sizes": np.full((2, 2), SIDE, "float32"),
    }


TARGETS = {
    "boxes": np.array([[[5, 5, 30, 40]], [[0, 9, 60, 50]]], "float32"),
    "labels": np.zeros((2, 1), "int32"),
}


def test_training_sees_the_trunks_stages_with_the_proposals_of_training(model, inputs):
    stages = outputs_of(lambda x: model(x, training=True), inputs)
    assert set(stages) == set(model.trunk.output)
    assert stages["rois"].shape == (2, 1, 4)


@pytest.mark.parametrize("training", [{}, {"training": False}])
def test_all_else_sees_detections_of_the_proposals_of_inference(
    model, inputs, training
):
    found = outputs_of(lambda x: model(x, **training), inputs)
    assert set(found) == {"boxes", "labels", "scores", "num_detections"}
    # One proposal has one detection of each of the three classes at the most.
    assert found["num_detections"].min() > 3


@pytest.fixture
def losses_of(model, monkeypatch):
    """Function of (sums, count)s, which the model takes for those of its stages."""

    def compute(*yielded, stages=None, **arguments):
        seen = []

        def stage_losses(stages, truth, seed, step, training):
            step = int(arrays(step))  # now: the variable goes on
            seen.append(
                types.SimpleNamespace(
                    stages=stages, seed=seed, step=step, training=training
                )
            )
            floats = keras.ops.convert_to_tensor
            for sums, count in yielded:
                named = {name: floats(float(value)) for name, value in sums.items()}
                yield named, floats(float(count))

        monkeypatch.setattr(model, "stage_losses", stage_losses)
        for metric in model._loss_means.value.values():
            metric.reset_state()
        total = model.compute_loss(y=TARGETS, y_pred=stages, **arguments)
        means = {
            name: float(arrays(metric.result()))
            for name, metric in model._loss_means.value.items()
        }
        return float(arrays(total)), means, seen[0]

    return compute


RPN = {"objectness_loss": 6, "rpn_box_loss": 2}, 4
HEAD = {"class_loss": 3, "box_loss": 5}, 0.25


def test_losses_are_sums_by_their_counts_of_at_least_one(losses_of):
    # 6 / 4, 2 / 4, and 3 and 5: no count below 1 makes a loss larger.
    total, means, _ = losses_of(RPN, HEAD)
    assert means == {
        "objectness_loss": 1.5,
        "rpn_box_loss": 0.5,
        "class_loss": 3.0,
        "box_loss": 5.0,
    }
    assert total == 10.0
    # 1.5 is a count like any other.
    assert losses_of(({"class_loss": 3}, 1.5))[0] == 2.0


def test_on_several_replicas_losses_are_shares_and_metrics_are_the_whole(
    model, losses_of, monkeypatch
):
    # Four replicas of equal counts: each adds a quarter of the loss.
    monkeypatch.setattr(detector, "global_sum", lambda count: 4 * count)
    monkeypatch.setattr(detector, "replica_count", lambda: 4)
    weight = model.box_predictor.class_logits.kernel
    monkeypatch.setattr(weight, "regularizer", lambda value: 8.0)
    total, means, _ = losses_of(RPN)
    assert means["objectness_loss"] == 4 * 6 / 16
    assert means["rpn_box_loss"] == 4 * 2 / 16
    assert total == 8 / 16 + 8.0 / 4
    assert losses_of(HEAD)[1]["box_loss"] == 4 * 5  # 4 times 0.25 is a count of 1


def test_the_counter_of_steps_is_no_weight_to_train(model):
    assert not model.training_step.trainable
    assert model.training_step.dtype == "int32"


def test_only_training_counts_steps(model, losses_of):
    model.training_step.assign(5)
    _, _, seen = losses_of(RPN, stages="stages")  # training, unless told otherwise
    assert int(model.training_step) == 6
    assert (seen.stages, seen.step, seen.training) == ("stages", 5, True)
    assert seen.seed == 0


def test_without_training_losses_are_of_the_stages_of_inference(
    model, inputs, losses_of
):
    model.training_step.assign(5)
    _, _, seen = losses_of(RPN, x=inputs, stages="detections", training=False)
    assert int(model.training_step) == 5
    assert seen.training is False
    assert seen.stages["rois"].shape == (2, 50, 4)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0, None])
@pytest.mark.parametrize("count", [1, 2, 3.0, None])
def test_probabilities_and_whole_numbers_are_taken(threshold, count):
    check_limits(threshold, count)


@pytest.mark.parametrize("threshold", [-0.01, 1.01, 2.0, -1.0])
def test_thresholds_that_are_no_probability_are_refused(threshold):
    with pytest.raises(ValueError, match=rf"received score_threshold={threshold}\."):
        check_limits(threshold)


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_counts_that_are_not_whole_or_below_one_are_refused(count):
    with pytest.raises(ValueError, match=f"max_detections={count}"):
        check_limits(None, count)
    with pytest.raises(ValueError, match=f"batch_size={count}"):
        check_whole_number("batch_size", count)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("threshold", " Did you mean score_threshold?"),
        ("conf", " Did you mean score_threshold?"),
        ("imgsz", " Did you mean min_size?"),
        ("score_treshold", " Did you mean score_threshold?"),
        ("zzz", ""),
    ],
)
def test_an_argument_of_another_library_is_answered_by_the_right_one(
    model, name, meant
):
    with pytest.raises(TypeError) as raised:
        model.detect([], **{name: 0.5})
    assert str(raised.value) == (
        f"detect must get its own arguments; received {name}=.{meant}"
    )


def test_a_detectors_config_says_whether_it_is_trained(model):
    config = model.get_config()
    assert config["trainable"] is True
    assert config["seed"] == 0
    del config["trainable"], config["seed"]  # as older files
    again = type(model).from_config(config)
    assert again.trainable
    assert again.seed == 0
    assert again.trainable_variables


@pytest.mark.parametrize(
    ("asked", "shared"),
    [
        ((None, None), (0.2, 20)),
        ((0.2, 20), (0.2, 20)),
        ((0.9, 1), (0.2, 20)),  # stricter: what is left out comes last
        ((0.19, 21), (0.01, 100)),
        ((0.01, 100), (0.01, 100)),
        ((0.009, 101), (0.0, 300)),
        ((0.0, 1000), (0.0, 1000)),
        ((None, 5000), (0.2, 5000)),
    ],
)
def test_looser_limits_share_a_few_functions(model, asked, shared):
    limits = dict(shared_limits(model.final_part(), *asked))
    assert tuple(limits.values()) == shared
