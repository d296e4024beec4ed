"""One training of the study, and its numbers."""

import contextlib
import json
import time

import keras
import numpy as np

from keras_fpn.data import RandomFlip, with_proposals
from keras_fpn.files import replacing
from keras_fpn.metrics import (
    coco_ground_truth,
    evaluate_photos,
    evaluate_proposals,
    mean_boundary_iou,
    propose_photos,
)
from keras_fpn.training import TrainingPlan, WarmupCosine, prepare_training
from pyramid_study.rows import all_rows

SHOWN, KEPT = 3, 50  # test scenes and results in each that are kept for pictures
MOST_PROPOSALS = 300  # per scene, for the rows that are given some


def plan_of(key, steps, batch_size):
    """Returns the plan of a row; only the model differs between rows."""
    return TrainingPlan(
        name=f"study_{key}",
        build=all_rows()[key].build,
        steps=steps,
        batch_size=batch_size,
        learning_rate=1e-3,
        schedule=lambda rate, _, total: WarmupCosine(rate, total, 0.01, total // 10),
        optimizer=lambda rate: keras.optimizers.AdamW(
            rate, weight_decay=0.05, global_clipnorm=10.0
        ),
        augment=(RandomFlip(),),
        dtype_policy="mixed_bfloat16",
    )


def result_of(key, seed, settings, data, folder):
    """Trains a row with one seed, unless its result is in the folder; returns it.

    A training that was interrupted resumes from its last checkpoint.

    Args:
        key: str, of the row.
        seed: int.
        settings: dict of the numbers that all rows share, kept with the result.
        data: function that returns the data sets to train on and to measure on.
        folder: Path of this row and seed.

    Returns:
        dict with "settings", "values" (name -> number, 0..1), "shown" (results in the
        first test scenes), "class_names", "seconds", "parameters" and "backend".

    Raises:
        ValueError: the folder has a result of other settings.
    """
    file = folder / "result.json"
    settings = {**settings, "row": key, "seed": seed}
    if file.exists():
        result = json.loads(file.read_text("utf-8"))
        if result["settings"] != settings:
            raise ValueError(
                f"{file} must be of the same settings, {settings}; received "
                f"{result['settings']}. Name another --output."
            )
        return result
    train, test = data()
    plan = plan_of(key, settings["steps"], settings["batch_size"])
    training = prepare_training(plan, train, folder / "run", seed=seed)
    with adding_seconds(folder / "seconds.txt") as seconds:
        training.run(save_every=200)
    model = keras.models.load_model(training.folder.last)
    result = {
        "settings": settings,
        "values": values_of(model, test),
        "shown": shown(model, test),
        "class_names": list(model.class_names),
        "seconds": round(seconds(), 1),
        "parameters": model.count_params(),
        "backend": keras.backend.backend(),
    }
    with replacing(file) as new:
        new.write_text(json.dumps(result, indent=1), "utf-8")
    keras.backend.clear_session()
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
    """Returns data sets with a detector's proposals, a list.

    Args:
        proposer: Path of the detector.
        sets: data sets.
    """
    model = keras.models.load_model(proposer)
    return [
        with_proposals(one, propose_photos(model, one), MOST_PROPOSALS) for one in sets
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
    return [
        {name: np.asarray(rows[:KEPT]).tolist() for name, rows in one.items()}
        for one in found
    ]
