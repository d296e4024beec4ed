"""Seconds per photo beside torchvision, same weights and photo, taking turns.

    python tests/parity/benchmark.py --torchvision /path/to/other/python

The weights are the recordings' (see tests/conftest.py for where they are looked for);
torchvision lives in an environment of its own, whose Python is named.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRESET, REFERENCE = "faster_rcnn_resnet50_fpn_coco", "fasterrcnn_resnet50_fpn"

# What the other Python runs: one detection per line it reads, its seconds as answer.
WORKER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.detection._utils import overwrite_eps
from weights import state_dict
torch.set_num_threads(int(sys.argv[3]))
model = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
tensors = {k: torch.from_numpy(v) for k, v in state_dict(sys.argv[2]).items()}
model.load_state_dict(tensors, strict=False)
overwrite_eps(model, 0.0)
pixels = np.load(sys.argv[1] + "/" + sys.argv[2] + ".npz")["image0/pixels"]
for line in sys.stdin:
    begin = time.perf_counter()
    with torch.inference_mode():
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        [found] = model([image])
    print(time.perf_counter() - begin, len(found["boxes"]), flush=True)
"""


def main():
    """Prints the median seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=ROOT.parent / "shared" / "parity")
    parser.add_argument("--torchvision", help="a Python that has torchvision")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from parity.goldens import Golden

    import keras_fpn

    golden = Golden(pathlib.Path(arguments.folder), REFERENCE)
    model = keras_fpn.from_preset(PRESET, load_weights=False)
    keras_fpn.weights.load_torchvision(model, golden.tensors())
    photo = golden["image0/pixels"]
    turns = {"keras_fpn": lambda: detect(model, photo)}
    if arguments.torchvision:
        folder, threads = str(arguments.folder), str(arguments.threads)
        command = [arguments.torchvision, "-c", WORKER, folder, REFERENCE, threads]
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        turns["torchvision"] = lambda: answer(worker)
    seconds = {name: [] for name in turns}
    for number in range(arguments.rounds + 1):
        for name, turn in turns.items():
            taken, boxes = turn()
            if number == 0:  # traces and warms up
                print(f"{name}: {boxes} boxes, first call {taken:.2f} s")
            else:
                seconds[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, taken in seconds.items():
        print(
            f"{name}: median {medians[name]:.2f} s, {min(taken):.2f}-{max(taken):.2f}"
        )
    if len(medians) == 2:
        ratio = medians["torchvision"] / medians["keras_fpn"]
        print(f"torchvision takes {ratio:.2f} times as long")


def detect(model, photo):
    """Returns the seconds one photo takes, and its number of boxes."""
    begin = time.perf_counter()
    [found] = model.detect(photo)
    return time.perf_counter() - begin, len(found["boxes"])


def answer(worker):
    """Returns the same of the other process."""
    worker.stdin.write("detect\n")
    worker.stdin.flush()
    seconds, boxes = worker.stdout.readline().split()
    return float(seconds), int(boxes)


if __name__ == "__main__":
    main()
