"""Seconds or memory of Faster R-CNN with FaPN, beside the same with FPN.

    python scripts/benchmark_neck.py
    python scripts/benchmark_neck.py --step --memory
    python scripts/benchmark_neck.py --compare points

The last compares RoIAlign alone, with as many points per bin as each RoI needs, beside
two per side of a bin: 1000 RoIs of 16 pixels up to the photo's side, on P2 to P5.

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

SIDES = {"neck": ("FPN", "FaPN"), "points": ("two", "adaptive")}
ROIS, SMALLEST_ROI = 1000, 16  # their number, and the pixels of the smallest side


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Returns the command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--compare", choices=SIDES, default="neck")
    add("--step", action="store_true", help="a training step instead of a detection")
    add("--memory", action="store_true", help="the most MiB resident, over imports")
    add("--backbone", default="resnet50")
    add("--side", type=int, default=800, help="height and width of the photo, pixels")
    add("--rounds", type=int, default=8)
    add("--work", help=argparse.SUPPRESS)  # the side that a process is started for
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


def loss_of(model, inputs, targets):
    """Trains a step and returns its loss, float."""
    return float(model.train_on_batch(inputs, targets, return_dict=True)["loss"])


def detector_turn(arguments: argparse.Namespace):
    """Returns a model and a function that detects, or trains a step."""
    import keras
    import numpy as np

    model = build(arguments.work, arguments.backbone, arguments.side)
    photo, boxes = benchmark_worker.drawn_photo(0)
    photo = np.resize(photo, (arguments.side, arguments.side, 3))
    inputs, _ = model.preprocessing.prepare([photo])
    targets = {"boxes": boxes[None], "labels": np.zeros((1, len(boxes)), int)}
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    if arguments.step:
        return model, lambda: loss_of(model, inputs, targets)
    return model, lambda: len(model.detect([photo])[0]["boxes"])


def roi_align_turn(arguments: argparse.Namespace):
    """Returns a model of maps, its weights, and a function that reads them by RoIAlign.

    In a training step, the gradients of the maps are computed, too.
    """
    import keras
    import numpy as np

    from keras_fpn.layers import PyramidRoIAlign

    class Maps(keras.layers.Layer):
        def build(self, _):
            points = {"two": 2, "adaptive": 0}[arguments.work]
            self.roi_align = PyramidRoIAlign(sampling_ratio=points, aligned=True)
            self.maps = {
                f"P{level}": self.add_weight(
                    shape=(1, *[-(-arguments.side // 2**level)] * 2, 256),
                    initializer="random_normal",
                    name=f"p{level}",
                )
                for level in range(2, 6)
            }

        def call(self, rois):
            read = keras.ops.convert_to_tensor
            return self.roi_align({k: read(v) for k, v in self.maps.items()}, rois)

    draw = np.random.default_rng(0)
    side = arguments.side
    sides = np.exp(draw.uniform(np.log(SMALLEST_ROI), np.log(side), (1, ROIS, 2)))
    corners = draw.uniform(0, 1, sides.shape) * (side - sides)
    rois = np.concatenate([corners, corners + sides], axis=-1).astype("float32")
    model = keras.Sequential([keras.Input((ROIS, 4)), Maps()])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mean_squared_error")
    wanted = np.zeros((1, ROIS, 7, 7, 256), "float32")
    if arguments.step:
        return model, lambda: loss_of(model, rois, wanted)
    return model, lambda: float(np.abs(model.predict_on_batch(rois)).mean())


def work(arguments: argparse.Namespace) -> None:
    """Does one turn for each line that it reads, as `benchmark_worker.py` does."""
    import keras  # noqa: F401  # memory is that over the imports

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    imported = benchmark_worker.resident("VmRSS") if arguments.memory else 0.0
    kinds = {"neck": detector_turn, "points": roi_align_turn}
    model, turn = kinds[arguments.compare](arguments)
    print(json.dumps({"weights": model.count_params()}), file=answers, flush=True)
    if arguments.memory:
        benchmark_worker.forget_peak()
    for _ in sys.stdin:
        begin, cpu = time.perf_counter(), time.process_time()
        result = turn()
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
    names = SIDES[parsed.compare]
    sides = {
        name: functools.partial(
            benchmark.Worker, name, [sys.executable, __file__, *own, "--work", name],
            environment,
        )
        for name in names
    }  # fmt: skip
    measure = benchmark.memory_of if parsed.memory else benchmark.seconds_of
    about, answers = measure(sides, parsed.rounds)
    for name in names:
        print(name, {"result": answers[name][0]["result"], **about[name]})
    for quantity in ("mib",) if parsed.memory else ("seconds", "cpu"):
        values = [[one[quantity] for one in answers[name]] for name in names]
        for name, of_side in zip(names, values, strict=True):
            print(name, quantity, benchmark.spread(of_side))
        print(f"{names[1]} / {names[0]}, turn by turn", benchmark.ratios(*values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
