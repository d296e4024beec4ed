"""Measures the share of training time spent waiting for data.

    python scripts/benchmark_training.py DATASET --split train --preset NAME --steps 6

It takes training steps on batches that threads read, resize and pad, and times how long
each step waits for its batch. It prints one JSON object.
"""

import argparse
import json
import sys
import time

import keras

import keras_fpn
from keras_fpn.data import Loader, RandomFlip, open_dataset
from keras_fpn.training import SGD
from keras_fpn.training.transfer import resized


def measure(model, loader, steps: int):
    """Returns the total seconds and the seconds of waiting, after a step to warm up."""
    waited = started = 0.0
    batches = iter(loader.for_fit(epochs=1 + steps))
    for step in range(steps + 1):
        before = time.perf_counter()
        x, y, weights = next(batches)
        arrived = time.perf_counter()
        model.train_on_batch(x, y, sample_weight=weights)
        if step == 0:  # it traced the graph and started the threads
            started, waited = time.perf_counter(), 0.0
        else:
            waited += arrived - before
    return time.perf_counter() - started, waited


def main(argv=None):
    """Measures and prints; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("dataset")
    add("--images")
    add("--split")
    add("--preset", default="faster_rcnn_resnet50_fpn_coco")
    add("--min-size", type=int, default=800)
    add("--max-size", type=int, default=1333)
    add("--batch-size", type=int, default=2)
    add("--steps", type=int, default=6)
    arguments = parser.parse_args(argv)
    dataset = open_dataset(
        arguments.dataset, arguments.images, arguments.split, report=lambda found: None
    )
    model = keras_fpn.from_preset(
        arguments.preset, load_weights=False, num_classes=len(dataset.class_names)
    )
    loader = Loader(
        dataset,
        resized(model.preprocessing, arguments.min_size, arguments.max_size),
        arguments.batch_size,
        augment=(RandomFlip(),),
        shuffle=True,
        fill=True,
    )
    model.compile(optimizer=SGD(1e-4, global_clipnorm=10.0))
    seconds, waited = measure(model, loader, arguments.steps)
    images = arguments.steps * arguments.batch_size
    print(
        json.dumps(
            {
                "preset": arguments.preset,
                "backend": keras.backend.backend(),
                "sizes": [arguments.min_size, arguments.max_size],
                "batch_size": arguments.batch_size,
                "steps": arguments.steps,
                "seconds_per_image": round(seconds / images, 3),
                "share_waiting_for_data": round(waited / seconds, 4),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
