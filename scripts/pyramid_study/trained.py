"""One training of the study, and its numbers."""

import contextlib
import time

import keras
import numpy as np

from keras_fpn.data import RandomFlip, with_proposals
from keras_fpn.metrics import (
    coco_ground_truth,
    evaluate_photos,
    evaluate_proposals,
    mean_boundary_iou,
    propose_photos,
)
from keras_fpn.training import TrainingPlan, WarmupCosine, prepare_training
from pyramid_study.pretrained import small_backbone
from pyramid_study.rows import all_rows

BACKBONE = "backbone.weights.h5"  # in the folder of the trainings
SHOWN, KEPT = 3, 20  # test scenes and results in each that are kept for pictures
MOST_PROPOSALS = 300  # per scene, for the rows that are given some


def plan_of(key, steps, batch_size, weights):
    """Returns the plan of a row; only the model differs between rows.

    Args:
        key: str, of the row.
        steps, batch_size: int.
        weights: Path of the backbone's, as of `small_backbone`.
    """

    def build(class_names, category_ids):
        backbone = small_backbone(weights)
        return all_rows()[key].build(backbone, class_names, category_ids)

    return TrainingPlan(
        name=f"study_{key}",
        build=build,
        steps=steps,
        batch_size=batch_size,
        learning_rate=1e-3,
        schedule=lambda rate, _, total: WarmupCosine(rate, total, 0.01, total // 10),
        optimizer=lambda rate: keras.optimizers.AdamW(
            rate, weight_decay=0.05, global_clipnorm=10.0
        ),
        augment=(RandomFlip(),),
    )


def trained(key, seed, settings, data, work):
    """Trains a row with one seed, and returns its detector.

    A training that was interrupted resumes from its last checkpoint; one that has ended
    is read.

    Args:
        key: str, of the row.
        seed: int.
        settings: dict of the numbers that all rows share.
        data: data set to train on.
        work: Path of the trainings.

    Returns:
        model: the detector.
        seconds: float, that the training took.
    """
    folder = work / f"{key}-{seed}"
    weights = work / BACKBONE
    plan = plan_of(key, settings["steps"], settings["batch_size"], weights)
    training = prepare_training(plan, data, folder / "run", seed=seed)
    with adding_seconds(folder / "seconds.txt") as seconds:
        training.run(save_every=200)
    return keras.models.load_model(training.folder.last), seconds()


def result_of(model, seed, seconds, test):
    """Returns the result of one training, which `results.json` keeps.

    Args:
        model: the detector.
        seed: int.
        seconds: float, that the training took.
        test: data set to measure on.

    Returns:
        dict with "seed", "values" (name -> number, 0..1), "seconds", "parameters" and
        "backend"; for the first seed also "shown" (results in the first test scenes)
        and "class_names".
    """
    result = {
        "seed": seed,
        "values": {k: round(float(v), 5) for k, v in values_of(model, test).items()},
        "seconds": round(seconds, 1),
        "parameters": model.count_params(),
        "backend": keras.backend.backend(),
    }
    if seed == 0:
        result["shown"] = shown(model, test)
        result["class_names"] = list(model.class_names)
    return result


@contextlib.contextmanager
def adding_seconds(file):
    """Adds the seconds until its end to those in a file, also after an interruption.

    Yields:
        function that returns the sum.
    """

    def seconds():
        return float(file.read_text("utf-8")) if file.exists() else 0.0

    start = time.perf_counter()
    try:
        yield seconds
    finally:
        file.write_text(str(seconds() + time.perf_counter() - start), "utf-8")


def with_proposals_of(proposer, sets):
    """Returns data sets with the proposals of a detector, a list."""
    return [
        with_proposals(one, propose_photos(proposer, one), MOST_PROPOSALS)
        for one in sets
    ]


def values_of(model, test):
    """Returns the numbers of a detector, dict of name -> float, 0..1.

    Of a detector of masks these are the recalls of masks and "boundary_iou". Besides
    COCO's numbers for boxes there is the AP at each IoU threshold: "AP@0.75" and so on.
    """
    if "masks" in model.output:
        truth = coco_ground_truth(test)
        found = [
            (photo.image_id, one["masks"], one["scores"])
            for photo in test.photos
            for one in model.detect([photo.path])
        ]
        boundary = mean_boundary_iou(truth, found)
        return {
            **evaluate_proposals(truth, found, "segm").values,
            "boundary_iou": boundary,
        }
    evaluation = evaluate_photos(model, test)
    if evaluation.metrics is None:
        return evaluation.proposals.values
    metrics = evaluation.metrics
    by_threshold = np.nanmean(metrics.precision, axis=(1, 2))
    names = [f"AP@{iou:.2f}" for iou in metrics.iou_thresholds]
    return {**metrics.values, **dict(zip(names, by_threshold.tolist(), strict=True))}


def shown(model, dataset):
    """Returns what a detector finds in the first scenes, a list of dict of lists."""
    photos = dataset.photos[:SHOWN]
    given = {}
    if photos[0].proposals is not None:
        given["proposals"] = [photo.proposals for photo in photos]
    found = model.detect([photo.path for photo in photos], **given)
    return [{name: _plain(rows[:KEPT]) for name, rows in one.items()} for one in found]


def _plain(rows):
    """Returns rows as JSON can hold them, to a hundredth."""
    rows = np.asarray(rows)
    if rows.dtype.kind == "f":
        rows = rows.astype("float64").round(2)
    return rows.tolist()
