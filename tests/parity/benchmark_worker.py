"""One side of `benchmark.py`: a process that detects, or trains a step, when asked.

It gets its task as JSON, as its argument, and answers in JSON: a line that says what
it is made of, then one for each line it reads. All that libraries print goes to stderr.
"""

import json
import os
import pathlib
import re
import runpy
import sys
import time

import numpy as np

# Photos drawn where none are recorded: BCCD's size, and about as many objects.
DRAWN_SIZE, DRAWN_OBJECTS = (480, 640), 12


class KerasFPN:
    """The keras_fpn of a checkout.

    Args:
        task: dict, as `benchmark.call_of` makes it.
    """

    def __init__(self, task):
        import keras

        import keras_fpn

        found = pathlib.Path(keras_fpn.__file__).resolve().parents[1]
        if found != pathlib.Path(task["checkout"]):
            sys.exit(f"keras_fpn came from {found}, not from {task['checkout']}.")
        self.keras, self.keras_fpn = keras, keras_fpn
        backend = keras.backend.backend()
        self.versions = {
            "keras_fpn": keras_fpn.__version__,
            "keras": keras.__version__,
            backend: sys.modules[backend].__version__,
        }

    def load(self, task):
        """Makes the model, with the recorded weights or those that came with it."""
        recorded = task["reference"]
        make = self.keras_fpn.from_preset
        self.model = make(task["preset"], load_weights=not recorded)
        if recorded:
            self.keras_fpn.weights.load_torchvision(self.model, weights_of(task))
        self.photos, boxes, labels = photos_of(task)
        # A rate of 0 costs as much as any other, and every step does the same work.
        self.model.compile(optimizer=self.keras.optimizers.SGD(0.0))
        self.inputs, resized = self.model.preprocessing.prepare(self.photos)
        places = (len(self.photos), max(map(len, boxes)))
        self.targets = {
            "boxes": np.zeros((*places, 4), "float32"),
            "labels": np.full(places, -1),
        }
        for place, (photo, size) in enumerate(zip(self.photos, resized, strict=True)):
            scale = np.array([size[1] / photo.shape[1], size[0] / photo.shape[0]] * 2)
            count = len(boxes[place])
            self.targets["boxes"][place, :count] = boxes[place] * scale
            self.targets["labels"][place, :count] = labels[place]

    def detect(self):
        """Returns the number of boxes found."""
        size = len(self.photos)
        found = self.model.detect(self.photos, batch_size=size, masks="full")
        return sum(len(one["boxes"]) for one in found)

    def step(self):
        """Returns the loss, mean of the steps so far."""
        logs = self.model.train_on_batch(self.inputs, self.targets, return_dict=True)
        return float(logs["loss"])


class Torchvision:
    """torchvision's detector with ResNet-50, all of it trained, as keras_fpn's.

    Args:
        task: dict, as `benchmark.call_of` makes it.
    """

    def __init__(self, task):
        import torch
        import torchvision
        from torchvision.models import detection
        from torchvision.ops.feature_pyramid_network import LastLevelP6P7

        self.torch, self.detection = torch, detection
        self.LastLevelP6P7 = LastLevelP6P7
        torch.set_num_threads(task["cores"])
        self.versions = {
            "torchvision": torchvision.__version__,
            "torch": torch.__version__,
        }

    def load(self, task):
        """Makes the model, its norms as where its weights were published."""
        self.model = self._built(task["reference"])
        tensors = {
            name: self.torch.from_numpy(value)
            for name, value in weights_of(task).items()
        }
        missing, unexpected = self.model.load_state_dict(tensors, strict=False)
        uncounted = [name for name in missing if "num_batches_tracked" not in name]
        if uncounted or unexpected:
            sys.exit(f"torchvision lacks {uncounted}, and does not know {unexpected}.")
        self.model.train(task["step"])
        photos, boxes, labels = photos_of(task)
        self.photos = [self.torch.from_numpy(photo) for photo in photos]
        self.targets = [
            {
                "boxes": self.torch.from_numpy(of_photo),
                "labels": self.torch.from_numpy(classes + 1),  # 0 is background
            }
            for of_photo, classes in zip(boxes, labels, strict=True)
        ]
        self.optimizer = self.torch.optim.SGD(self.model.parameters(), lr=0.0)

    def _built(self, name):
        """Returns a detector of the name of torchvision's function."""
        detection = self.detection
        if name.endswith("_v2"):  # its norms are not frozen
            return getattr(detection, name)(weights=None, weights_backbone=None)
        extra: dict = {}
        if name.startswith(("retinanet", "fcos")):
            coarser = self.LastLevelP6P7(256, 256)
            extra = {"returned_layers": [2, 3, 4], "extra_blocks": coarser}
        backbone = detection.backbone_utils.resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, trainable_layers=5, **extra
        )
        make, classes = {
            "faster": (detection.FasterRCNN, 91),
            "mask": (detection.MaskRCNN, 91),
            "keypoint": (detection.KeypointRCNN, 2),
            "retina": (detection.RetinaNet, 91),
            "fcos": (detection.FCOS, 91),
        }[re.match("faster|mask|keypoint|retina|fcos", name)[0]]
        model = make(backbone, num_classes=classes)
        if not name.startswith("fcos"):
            detection._utils.overwrite_eps(model, 0.0)
        return model

    def detect(self):
        """Returns the number of boxes found."""
        with self.torch.inference_mode():
            found = self.model(self._inputs())
        return sum(len(one["boxes"]) for one in found)

    def step(self):
        """Returns the loss."""
        self.optimizer.zero_grad()
        loss = sum(self.model(self._inputs(), self.targets).values())
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def _inputs(self):
        return [photo.permute(2, 0, 1).float() / 255 for photo in self.photos]


def weights_of(task):
    """Returns the recorded weights, dict of torchvision's key -> float32 array."""
    source = runpy.run_path(str(pathlib.Path(task["folder"]) / "weights.py"))
    return source["state_dict"](task["reference"], task["folder"])


def photos_of(task):
    """Returns photos with their boxes and labels, the recorded ones or drawn ones.

    Args:
        task: dict; "reference" names the recording, None draws; "batch" photos.

    Returns:
        lists of uint8 (H, W, 3), of float32 (n, 4), xyxy, photo pixels, and of int64
        (n,), from 0.
    """
    if not task["reference"]:
        photos, boxes = zip(*map(drawn_photo, range(task["batch"])), strict=True)
        return list(photos), list(boxes), [np.zeros(len(one), int) for one in boxes]
    stages = np.load(pathlib.Path(task["folder"]) / f"{task['reference']}.npz")
    places = [number % 2 for number in range(task["batch"])]  # two photos are recorded
    return (
        [stages[f"image{place}/pixels"] for place in places],
        [stages[f"train/image{place}/boxes"] for place in places],
        [stages[f"train/image{place}/labels"] - 1 for place in places],
    )


def drawn_photo(seed):
    """Returns red discs on a light ground, uint8 (H, W, 3), and their boxes (n, 4)."""
    generator = np.random.default_rng(seed)
    height, width = DRAWN_SIZE
    photo = generator.integers(200, 230, (height, width, 3), dtype="uint8")
    rows, columns = np.ogrid[:height, :width]
    boxes = []
    for _ in range(DRAWN_OBJECTS):
        radius = generator.integers(20, 60)
        x = generator.integers(radius, width - radius)
        y = generator.integers(radius, height - radius)
        within = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
        photo[within] = (210, 120, 140)
        boxes.append((x - radius, y - radius, x + radius, y + radius))
    return photo, np.array(boxes, "float32")


def resident(field):
    """Returns the memory of this process in MiB.

    Args:
        field: str, "VmRSS" for what is resident now, "VmHWM" for the most that was.
    """
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise LookupError(f"/proc/self/status must hold {field}.")


def forget_peak():
    """Makes the most that was resident what is resident now."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def main():
    """Says what this side is, then does one turn for each line that it reads."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values):
        print(json.dumps(values), file=answers, flush=True)

    task = json.loads(sys.argv[1])
    side = (KerasFPN if task["checkout"] else Torchvision)(task)
    imported = resident("VmRSS") if task["memory"] else 0.0
    side.load(task)
    if task["memory"]:
        forget_peak()
    turn = side.step if task["step"] else side.detect
    answer(python=sys.version.split()[0], numpy=np.__version__, **side.versions)
    for _ in sys.stdin:
        begin = time.perf_counter()
        result = turn()
        seconds = time.perf_counter() - begin
        mib = resident("VmHWM") - imported if task["memory"] else None
        answer(seconds=seconds, mib=mib, result=result)


if __name__ == "__main__":
    main()
