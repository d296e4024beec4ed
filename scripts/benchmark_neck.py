"""Seconds or memory of Faster R-CNN with FaPN, beside the same with FPN.

    python scripts/benchmark_neck.py
    python scripts/benchmark_neck.py --step --memory

Each side is a process of its own, and one works at a time, in turns. CPU seconds are
those of all cores; on a busy machine they say more. Weights are random ones from a
formula, and the photo is drawn. Offsets are 0, as when a training starts: all points
that FaPN reads are in the maps, where reading costs most. KERAS_BACKEND chooses the
backend.
"""

import argparse
import functools
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from parity import benchmark, benchmark_worker  # noqa: E402

NECKS = ("FPN", "FaPN")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Returns the command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--step", action="store_true", help="a training step instead of a detection")
    add("--memory", action="store_true", help="the most MiB resident, over imports")
    add("--backbone", default="resnet50")
    add("--side", type=int, default=800, help="height and width of the photo, pixels")
    add("--rounds", type=int, default=8)
    add("--work", choices=NECKS, help=argparse.SUPPRESS)  # what a side is started with
    return parser.parse_args(arguments)


def build(neck: str, backbone: str, side: int):
    """Returns a detector with formula weights."""
    import keras

    import keras_fpn
    from keras_fpn.layers import FeatureAlign, FeaturePyramid, fapn

    necks: dict[str, Callable] = {"FPN": FeaturePyramid, "FaPN": fapn}
    model = keras_fpn.models.faster_rcnn_fpn(
        backbone,
        num_classes=80,
        neck=necks[neck](name="neck"),
        preprocessing=keras_fpn.preprocessing.Preprocessing(side, side),
    )
    keras_fpn.weights.fill_with_formula(model)
    for merge in model.neck.merge.values():
        if isinstance(merge, FeatureAlign):
            points = merge.deform.predict_points.kernel
            points.assign(keras.ops.zeros(points.shape))
    return model


def work(arguments: argparse.Namespace) -> None:
    """Does one turn for each line that it reads, as `benchmark_worker.py` does."""
    import keras
    import numpy as np

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    imported = benchmark_worker.resident("VmRSS") if arguments.memory else 0.0
    model = build(arguments.work, arguments.backbone, arguments.side)
    photo, boxes = benchmark_worker.drawn_photo(0)
    photo = np.resize(photo, (arguments.side, arguments.side, 3))
    inputs, _ = model.preprocessing.prepare([photo])
    targets = {"boxes": boxes[None], "labels": np.zeros((1, len(boxes)), int)}
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    print(json.dumps({"weights": model.count_params()}), file=answers, flush=True)
    if arguments.memory:
        benchmark_worker.forget_peak()
    for _ in sys.stdin:
        begin, cpu = time.perf_counter(), time.process_time()
        if arguments.step:
            logs = model.train_on_batch(inputs, targets, return_dict=True)
            result = float(logs["loss"])
        else:
            result = len(model.detect([photo])[0]["boxes"])
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        mib = benchmark_worker.resident("VmHWM") - imported if arguments.memory else 0.0
        answer = {"seconds": seconds, "cpu": cpu, "mib": mib, "result": result}
        print(json.dumps(answer), file=answers, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measures both sides and prints; returns 0."""
    parsed = parse(arguments)
    if parsed.work:
        work(parsed)
        return 0
    own = sys.argv[1:] if arguments is None else arguments
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    sides = {
        neck: functools.partial(
            benchmark.Worker, neck, [sys.executable, __file__, *own, "--work", neck],
            environment,
        )
        for neck in NECKS
    }  # fmt: skip
    measure = benchmark.memory_of if parsed.memory else benchmark.seconds_of
    about, answers = measure(sides, parsed.rounds)
    for neck in NECKS:
        print(neck, {"result": answers[neck][0]["result"], **about[neck]})
    for quantity in ("mib",) if parsed.memory else ("seconds", "cpu"):
        values = [[one[quantity] for one in answers[neck]] for neck in NECKS]
        for neck, of_side in zip(NECKS, values, strict=True):
            print(neck, quantity, benchmark.spread(of_side))
        print("FaPN / FPN, turn by turn", benchmark.ratios(*values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
