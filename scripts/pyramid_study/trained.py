"""One training of the study, and its numbers."""

import json
import time

import keras
import numpy as np

from keras_fpn.data.augment import RandomFlip
from keras_fpn.files import replacing
from keras_fpn.metrics import evaluate_photos
from keras_fpn.training import TrainingPlan, WarmupCosine, prepare_training

SHOWN = 3  # test scenes whose results are kept for the pictures


def plan_of(row, steps, batch_size):
    """Returns the plan of a row; only the model differs between rows."""
    return TrainingPlan(
        name=f"study_{row.key}",
        build=row.build,
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


def result_of(row, seed, settings, data, folder):
    """Trains a row with one seed, unless its result is in the folder; returns it.

    A training that was interrupted resumes from its last checkpoint.

    Args:
        row: `Row`.
        seed: int.
        settings: dict of `steps` and `batch_size`, kept with the result.
        data: the data sets to train on and to measure on.
        folder: Path of this row and seed.

    Returns:
        dict with "settings", "values" (name -> number, 0..1), "shown" (results in the
        first test scenes), "seconds" and "parameters".

    Raises:
        ValueError: the folder has a result of other settings.
    """
    file = folder / "result.json"
    settings = {**settings, "row": row.key, "seed": seed}
    if file.exists():
        result = json.loads(file.read_text("utf-8"))
        if result["settings"] != settings:
            raise ValueError(
                f"{file} must be of the same settings, {settings}; received "
                f"{result['settings']}. Name another --output."
            )
        return result
    start = time.perf_counter()
    train, test = data
    plan = plan_of(row, settings["steps"], settings["batch_size"])
    training = prepare_training(plan, train, folder / "run", seed=seed)
    training.run(save_every=200)
    model = keras.models.load_model(training.folder.last)
    seconds = time.perf_counter() - start
    result = {
        "settings": settings,
        "values": values_of(evaluate_photos(model, test)),
        "shown": shown(model, test),
        "seconds": round(seconds, 1),
        "parameters": model.count_params(),
        "backend": keras.backend.backend(),
    }
    with replacing(file) as new:
        new.write_text(json.dumps(result, indent=1), "utf-8")
    keras.backend.clear_session()
    return result


def values_of(evaluation):
    """Returns the numbers of an `Evaluation`, dict of name -> float, 0..1.

    Besides COCO's there is the AP at each IoU threshold from 0.5: "AP@0.75" and so on.
    """
    if evaluation.metrics is None:
        return evaluation.proposals.values
    metrics = evaluation.metrics
    by_threshold = np.nanmean(metrics.precision, axis=(1, 2))
    names = [f"AP@{iou:.2f}" for iou in metrics.iou_thresholds]
    return {
        **metrics.values,
        **dict(zip(names, by_threshold.tolist(), strict=True)),
    }


def shown(model, dataset):
    """Returns what a detector finds in the first scenes, a list of dict of lists."""
    found = model.detect([photo.path for photo in dataset.photos[:SHOWN]])
    return [
        {name: np.asarray(rows)[:50].tolist() for name, rows in one.items()}
        for one in found
    ]
