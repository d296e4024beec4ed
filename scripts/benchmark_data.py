"""Measures how many images per second the data pipeline makes, and what takes time.

    python scripts/benchmark_data.py DATASET

Each round runs every way to go through the photos once, in turns, so that other load
on the machine affects all of them; the figures are medians over the rounds. CPU seconds
are those of all threads of this process.

    decode            only reads and decodes every photo
    decode + resize   also resizes it to the input of the detector
    loader            the batches of `stream_batches`: padded, with boxes
    PyDataset         the same through `LoaderSequence`
    tf.data           the same through `tensorflow_dataset`, if TensorFlow is installed
"""

import argparse
import concurrent.futures
import functools
import importlib.util
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_fpn.data import Photometric, RandomFlip, open_dataset
from keras_fpn.data.loader import Loader
from keras_fpn.data.pydataset import LoaderSequence
from keras_fpn.data.stream import cpu_count, stream_batches
from keras_fpn.preprocessing import Preprocessing, read_photo, resize, resized_size

TRAINING = (RandomFlip(), Photometric())


def main(argv=None):
    """Measures what the command line says and prints a table; returns 0."""
    arguments = parse(argv)
    dataset = open_dataset(arguments.dataset, images=arguments.images, report=None)
    dataset = dataset[: arguments.photos]
    preprocessing = Preprocessing(arguments.min_size, arguments.max_size)
    loader = Loader(
        dataset,
        preprocessing,
        arguments.batch_size,
        augment=TRAINING if arguments.augment else (),
        shuffle=True,
        shapes=[largest_shape(dataset, preprocessing)] if arguments.one_shape else None,
    )
    ways = ways_through(loader, dataset, preprocessing, arguments.workers)
    print(
        f"{len(dataset)} photos of {dataset.name}, shorter side {arguments.min_size}, "
        f"batches of {arguments.batch_size}, {arguments.workers} threads on "
        f"{cpu_count()} CPU cores, {arguments.rounds} rounds"
    )
    measured = measure(ways, len(dataset), arguments.rounds)
    print(f"{'':16} images/s  share of decoding  CPU ms/image")
    for name, runs in measured.items():
        rate = statistics.median(1 / wall for wall, _ in runs)
        share = statistics.median(
            bare / wall
            for (bare, _), (wall, _) in zip(measured["decode"], runs, strict=True)
        )
        cpu = statistics.median(cpu for _, cpu in runs) * 1e3
        print(f"{name:16} {rate:8.1f}  {share:17.2f}  {cpu:12.1f}")
    return 0


def parse(argv):
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description="Measures the data pipeline's speed.")
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="file or folder of annotations")
    add("--images", metavar="DIR", help="folder of the photos, if it is elsewhere")
    add("--photos", type=int, default=64, help="number of photos (%(default)s)")
    add("--min-size", type=int, default=800, help="shorter side (%(default)s)")
    add("--max-size", type=int, default=1333, help="longer side (%(default)s)")
    add("--batch-size", type=int, default=2, help="photos in a batch (%(default)s)")
    add("--workers", type=int, default=cpu_count(), help="threads (%(default)s)")
    add("--rounds", type=int, default=7, help="repetitions (%(default)s)")
    add("--augment", action="store_true", help="also flip and change colors")
    add("--one-shape", action="store_true", help="pad all images to one shape")
    return parser.parse_args(argv)


def ways_through(loader, dataset, preprocessing, workers):
    """Returns dict of name -> function that goes through all photos once."""
    limits = preprocessing.min_size, preprocessing.max_size

    def resized(photo):
        pixels = read_photo(photo.path)
        resize(pixels, resized_size(pixels.shape[:2], *limits))

    def by_threads(work):
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            # Results are dropped at once: allocating memory takes no part.
            for done in [pool.submit(work, photo) for photo in dataset.photos]:
                done.result()

    ways = {
        "decode": lambda: by_threads(lambda photo: read_photo(photo.path).shape),
        "decode + resize": lambda: by_threads(resized),
        "loader": lambda: exhaust(stream_batches(loader, workers=workers)),
    }
    if importlib.util.find_spec("tensorflow") is not None:
        from keras_fpn.data.tensorflow_loop import tensorflow_dataset

        batches = tensorflow_dataset(loader, workers=workers)
        ways["tf.data"] = lambda: exhaust(iter(batches))
    if None not in loader.image_shape:
        ways["PyDataset"] = functools.partial(through_sequence, loader, workers)
    return ways


def through_sequence(loader, workers):
    """Takes every batch of a LoaderSequence."""
    sequence = LoaderSequence(loader, workers=workers)
    for index in range(len(sequence)):
        sequence[index]


def exhaust(batches):
    """Takes every batch of an iterator."""
    for _ in batches:
        pass


def largest_shape(dataset, preprocessing):
    """Returns (H, W), pixels, of the padded shape that fits all photos."""
    limits = preprocessing.min_size, preprocessing.max_size
    sizes = [resized_size((p.height, p.width), *limits) for p in dataset.photos]
    divisor = preprocessing.size_divisor
    return tuple(
        -(-max(side) // divisor) * divisor for side in zip(*sizes, strict=True)
    )


def measure(ways, photos, rounds):
    """Returns dict of name -> list of (wall, CPU) seconds per photo, one per round."""
    measured = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number > 0:  # the first round fills caches
                measured[name].append((wall / photos, cpu / photos))
    return measured


if __name__ == "__main__":
    sys.exit(main())
