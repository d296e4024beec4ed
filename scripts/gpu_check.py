"""Checks keras_fpn on JAX's accelerator: the same answers as on a CPU, and how fast.

    KERAS_BACKEND=jax python scripts/gpu_check.py --recordings FOLDER --output gpu.json

Needs JAX and no TensorFlow. FOLDER holds the reference's recordings, of which
weights.py and fasterrcnn_resnet50_fpn with .json and .npz are read; without it, that
part is left out. The parts are:

    kernels  suppression and RoIAlign with its gradient, against the CPU
    golden   detections of the reference's weights, against the recorded ones
    detect   a photo, with the detector that comes with the package
    step     losses of a training step of that detector, against the CPU

The file of results is written after every part. The exit code is 1 if a part failed.
Without an accelerator all parts run on the CPU, and there is nothing to compare with.
Matrix products are in float32, not in JAX's default for a GPU, which is TF32: so the
answers can be compared, and training is usually faster than the times say.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "parity")]

GOLDEN = "faster_rcnn_resnet50_fpn_coco"
SHIPPED = "faster_rcnn_resnet18_fpn_bccd"
PARTS = ("kernels", "golden", "detect", "step")
REPEATS = 10
ENOUGH_S = 20  # seconds, after which no call is repeated once more
LOSS_TOLERANCE = 1e-2  # relative; near-ties may swap in top-k and suppression
SIDE = 800  # pixels, of the image whose maps the kernels read
CHANNELS = 256


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Returns the command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", required=True, type=pathlib.Path, metavar="FILE", help="JSON")
    add("--recordings", type=pathlib.Path, metavar="FOLDER")
    add("--parts", nargs="+", choices=PARTS, default=PARTS)
    add("--rois", type=int, default=1000, help="boxes that the kernels get per level")
    parsed = parser.parse_args(arguments)
    if parsed.rois < 1:
        parser.error(f"--rois must be at least 1; received {parsed.rois}.")
    recording = parsed.recordings and parsed.recordings / "fasterrcnn_resnet50_fpn.npz"
    if recording and not recording.is_file():
        parser.error(f"--recordings must be a folder with {recording.name}; received "
                     f"{parsed.recordings}.")  # fmt: skip
    return parsed


def timed(run: Callable[[], Any]) -> tuple[Any, dict]:
    """Returns what the last call gave, and how long the first and the others took."""
    import jax

    spans: list[float] = []
    while len(spans) < 2 or (len(spans) <= REPEATS and sum(spans) < 1e3 * ENOUGH_S):
        begin = time.perf_counter()
        result = jax.block_until_ready(run())
        spans.append(1e3 * (time.perf_counter() - begin))
    times = {"first": spans[0], "median": statistics.median(spans[1:])}
    return result, {f"{name}_ms": round(span, 3) for name, span in times.items()}


def on_both(function: Callable, *inputs) -> tuple[Any, Any, dict]:
    """Returns the accelerator's answer, the CPU's, and the times of both."""
    import jax

    compiled = jax.jit(function)

    def on(device):
        here = [jax.device_put(value, device) for value in inputs]
        return timed(lambda: compiled(*here))

    own, times = on(jax.devices()[0])
    if jax.default_backend() == "cpu":
        return jax.device_get(own), jax.device_get(own), times
    cpu, cpu_times = on(jax.devices("cpu")[0])
    times |= {f"cpu_{name}": span for name, span in cpu_times.items()}
    return jax.device_get(own), jax.device_get(cpu), times


def random_boxes(generator, count: int, sides: float):
    """Returns boxes (count, 4) of about a given side, in clusters."""
    centers = generator.uniform(0, SIDE, (max(count // 20, 1), 2))
    centers = centers[generator.integers(0, len(centers), count)]
    centers = centers + generator.normal(0, sides / 8, centers.shape)
    lengths = sides * np.exp(generator.normal(0, 0.3, (count, 2)))
    corners = np.concatenate([centers - lengths / 2, centers + lengths / 2], axis=1)
    return np.clip(corners, 0, SIDE).astype("float32")


def suppression(groups: int, rois: int, threshold: float, limit: int, most) -> dict:
    """Compares `grouped_nms` of one image; the groups are as in Faster R-CNN."""
    from keras_fpn.ops import grouped_nms

    generator = np.random.default_rng(0)
    of_groups = [
        random_boxes(generator, rois, 40.0 * 2 ** (group % 4))
        for group in range(groups)
    ]
    boxes = np.stack(of_groups, axis=1)[None]
    scores = generator.uniform(size=(1, rois, groups)).astype("float32")
    if most:
        order = np.argsort(np.argsort(-scores, axis=-1), axis=-1)
        scores = np.where(order < most, scores, 0).astype("float32")
    own, cpu, times = on_both(
        lambda b, s: grouped_nms(b, s, threshold, limit, most), boxes, scores
    )
    kept = [
        set(zip(found.indices[0], found.groups[0], strict=True)) for found in (own, cpu)
    ]
    same = len(kept[0] & kept[1]) / len(kept[0] | kept[1])
    return {"ok": same >= 0.99, "same": same, "kept": int(own.count[0]), **times}


def roi_align_and_gradient(rois: int) -> dict:
    """Compares RoIAlign on P2..P5 and its gradient, and returns both figures."""
    import jax

    from keras_fpn.ops import roi_align

    generator = np.random.default_rng(0)
    sides = [SIDE // 2**level for level in (2, 3, 4, 5)]
    maps = [
        generator.normal(size=(1, side, side, CHANNELS)).astype("float32")
        for side in sides
    ]
    count = -(-rois // len(maps))
    of_levels = [random_boxes(generator, count, 80.0 * 2**n) for n in range(len(maps))]
    boxes = np.concatenate(of_levels)[None]
    levels = np.repeat(np.arange(len(maps), dtype="int32"), count)[None]
    upstream = generator.normal(size=(*levels.shape, 7, 7, CHANNELS)).astype("float32")

    def align(maps, boxes, levels):
        return roi_align(maps, boxes, [2.0**-level for level in (2, 3, 4, 5)], levels)

    def gradient(maps, boxes, levels, upstream):
        _, pullback = jax.vjp(lambda maps: align(maps, boxes, levels), maps)
        return pullback(upstream)[0]

    forward = on_both(align, maps, boxes, levels)
    backward = on_both(gradient, maps, boxes, levels, upstream)
    return {
        "roi_align": compared(*forward),
        "roi_align_gradient": compared(*backward),
    }


def compared(own, cpu, times: dict) -> dict:
    """Returns the largest difference as a share of the largest value, and the times."""
    import jax

    pairs = list(zip(jax.tree.leaves(own), jax.tree.leaves(cpu), strict=True))
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    share = difference / max(float(np.abs(other).max()) for _, other in pairs)
    return {"ok": share <= 1e-5, "difference": share, **times}


def check_kernels(arguments) -> dict:
    """Suppression of detections and of proposals, RoIAlign, and its gradient."""
    rois = arguments.rois
    kernels = {
        "nms_detections": suppression(90, rois, 0.5, 100, 20),
        "nms_proposals": suppression(5, rois, 0.7, 1000, None),
        **roi_align_and_gradient(rois),
    }
    return {"ok": all(kernel["ok"] for kernel in kernels.values()), **kernels}


def check_golden(arguments) -> dict:
    """The detections that were recorded for the reference."""
    from goldens import MODELS, Golden, assert_same_boxes

    import keras_fpn

    reference, pixels = MODELS[GOLDEN]
    golden = Golden(arguments.recordings, reference)
    model = keras_fpn.from_preset(GOLDEN, load_weights=False)
    keras_fpn.weights.load_torchvision(model, golden.tensors())
    photo = golden["image0/pixels"]
    [found], times = timed(lambda: model.detect(photo))
    recorded = {
        name: golden[f"image0/detections/{name}"]
        for name in ("boxes", "scores", "labels")
    }
    assert_same_boxes(
        found["boxes"],
        recorded["boxes"],
        pixels,
        scores=(found["scores"], recorded["scores"]),
        labels=(found["labels"] + 1, recorded["labels"]),  # recorded with background
    )
    return {"ok": True, "detections": len(found["boxes"]), **times}


def check_detect(arguments) -> dict:
    """Detections in a painted photo."""
    from benchmark_worker import drawn_photo

    import keras_fpn

    model = keras_fpn.from_preset(SHIPPED)
    photo, discs = drawn_photo(0)
    [found], times = timed(lambda: model.detect(photo))
    count = len(found["boxes"])
    return {"ok": 0 < count, "detections": count, "discs": len(discs), **times}


def check_step(arguments) -> dict:
    """The losses of a first training step, against those of a process on the CPU."""
    import jax
    import keras
    from benchmark_worker import drawn_photo

    import keras_fpn

    model = keras_fpn.from_preset(SHIPPED)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    photos, boxes = zip(*map(drawn_photo, range(2)), strict=True)
    inputs, sizes = model.preprocessing.prepare(list(photos))
    truth = np.stack(boxes) * sizes[0][0] / photos[0].shape[0]
    labels = np.zeros(truth.shape[:2], "int32")
    truth = {"boxes": truth.astype("float32"), "labels": labels}

    def step():
        model.reset_metrics()
        model.training_step.assign(0)  # each step samples what the first one does
        return model.train_on_batch(inputs, truth, return_dict=True)

    logs, times = timed(step)
    losses = {name: float(value) for name, value in logs.items()}
    result = {"ok": all(np.isfinite(list(losses.values()))), "losses": losses, **times}
    if jax.default_backend() != "cpu":
        expected = losses_on_cpu()
        close = [
            abs(losses[name] - value) <= LOSS_TOLERANCE * abs(value)
            for name, value in expected.items()
        ]
        result |= {"ok": result["ok"] and all(close), "cpu_losses": expected}
    return result


def losses_on_cpu() -> dict:
    """Returns a training step's losses from a process that sees no accelerator."""
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "step.json"
        command = [sys.executable, __file__, "--parts", "step", "--output", str(output)]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        subprocess.run(command, env=environment, check=True)
        return json.loads(output.read_text())["parts"]["step"]["losses"]


CHECKS = {
    "kernels": check_kernels,
    "golden": check_golden,
    "detect": check_detect,
    "step": check_step,
}


def third_party_modules() -> list[str]:
    """Returns the names of the packages that were imported, without Python's own."""
    names = {name.partition(".")[0] for name in sys.modules}
    names = {name for name in names if not name.startswith("_")}
    return sorted(names - set(sys.stdlib_module_names))


def checked(part: str, arguments: argparse.Namespace) -> dict:
    """Returns the part's figures, or with "ok" false the error that it ended with."""
    begin = time.perf_counter()
    try:
        result = CHECKS[part](arguments)
    except Exception:  # whatever it is, the other parts are to be run
        result = {"ok": False, "error": traceback.format_exc()}
    return {**result, "seconds": round(time.perf_counter() - begin, 1)}


def main(arguments: list[str] | None = None) -> int:
    """Runs the parts, writes and prints their figures; returns the exit code."""
    parsed = parse(arguments)
    if os.environ.get("KERAS_BACKEND") != "jax":
        sys.exit("gpu_check.py runs on JAX; set the environment variable "
                 "KERAS_BACKEND=jax.")  # fmt: skip
    import jax
    import keras

    jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices()[0]
    report: dict[str, Any] = {
        "versions": {"jax": jax.__version__, "keras": keras.__version__},
        "device": f"{device.platform}: {device.device_kind}",
        "parts": {},
    }
    begin = time.perf_counter()
    for part in parsed.parts:
        if part == "golden" and not parsed.recordings:
            continue
        report["parts"][part] = checked(part, parsed)
        report["modules"] = third_party_modules()
        report["tensorflow_imported"] = "tensorflow" in sys.modules
        report["ok"] = not report["tensorflow_imported"] and all(
            result["ok"] for result in report["parts"].values()
        )
        report["seconds"] = round(time.perf_counter() - begin, 1)
        parsed.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
