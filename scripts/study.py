"""Trains the FPN paper's ablations on generated scenes and writes a page about them.

    python scripts/study.py --output zoo/study

Each row (see scripts/pyramid_study/rows.py) is trained with each seed, one after the
other, all rows with one seed before the next seed begins. The same command resumes
where it was stopped, and writes the page again after each training. `--rows 1a 1c
--seeds 1` trains a few, whose results are added to those in `--output`. On a GPU,
use JAX, for which TensorFlow is not needed:

    KERAS_BACKEND=jax python scripts/study.py --output zoo/study --machine "one H200"

It needs the extra `report`.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import shlex
import sys

import keras
from pyramid_study.page import write_page
from pyramid_study.pretrained import pretrain
from pyramid_study.rows import SIDE, all_rows
from pyramid_study.trained import BACKBONE, result_of, trained, with_proposals_of

from keras_fpn.data import read_coco
from keras_fpn.data.scenes import write_scenes
from keras_fpn.files import replacing

TEST_SCENES = 200
RESULTS = "results.json"
SETTINGS = ("steps", "batch_size", "scenes")
SEEDS_OF_SCENES = {"train": 11, "test": 12}


def main(argv=None):
    """Trains and writes what the command line asks for."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parse(argv)
    output, work = arguments.output, arguments.work
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    results = earlier_results(output / RESULTS, settings)
    origin = command_of(argv), f"{arguments.machine}, {keras.backend.backend()} backend"
    sets = scenes(work, arguments.scenes)
    pretrain(sets[0], work / BACKBONE)
    sets = [by_shape(one) for one in sets]
    write_results = functools.partial(
        write, output, results, settings, sets[1], *origin
    )
    for seed in range(arguments.seeds):

        @functools.cache
        def data(proposer, seed=seed):
            if proposer is None:
                return sets
            model, _ = trained(proposer, seed, settings, sets[0], work)
            return with_proposals_of(model, sets)

        for key, row in all_rows().items():
            if key not in arguments.rows:
                continue
            own = results.setdefault(key, [])
            if seed in [result["seed"] for result in own]:
                continue
            train, test = data(row.given)
            model, seconds = trained(key, seed, settings, train, work)
            own.append(result_of(model, seed, seconds, test))
            keras.backend.clear_session()
            print(key, seed, f"{seconds:.0f} s", summary(own[-1]), flush=True)
            write_results()
    write_results()  # also if nothing was left to train
    return 0


def command_of(argv):
    """Returns the command line, str."""
    backend = os.environ.get("KERAS_BACKEND")
    prefix = f"KERAS_BACKEND={backend} " if backend else ""
    return prefix + shlex.join(["python", "scripts/study.py", *argv])


def earlier_results(file, settings):
    """Returns the results in a file, dict of key -> list; none if there is no file.

    Raises:
        ValueError: the file has results of other settings.
    """
    if not file.exists():
        return {}
    contents = json.loads(file.read_text("utf-8"))
    if contents["settings"] != settings:
        raise ValueError(
            f"The results in {file} must be of the same settings, {settings}; received "
            f"{contents['settings']}. Name another --output."
        )
    return contents["results"]


def summary(result):
    """Returns the main numbers of a result, dict of name -> float, in %."""
    names = ("AR1000", "AP", "AP50", "boundary_iou")
    found = {n: result["values"][n] for n in names if n in result["values"]}
    return {name: round(100 * value, 1) for name, value in found.items()}


def write(output, results, settings, test, command, machine):
    """Writes the results and the page."""
    output.mkdir(parents=True, exist_ok=True)
    results = {key: results[key] for key in all_rows() if results.get(key)}
    contents = {
        "command": command,
        "machine": machine,
        "settings": settings,
        "results": results,
    }
    with replacing(output / RESULTS) as new:
        new.write_text(json.dumps(contents), "utf-8")
    write_page(output, results, settings, test, command, machine)


def scenes(folder, count):
    """Returns the data sets to train on and to measure on; writes them once."""
    found = []
    for name, number in (("train", count), ("test", TEST_SCENES)):
        target = folder / f"{name}-{number}"
        annotations = target / "instances.json"
        if not annotations.exists():
            write_scenes(target, number, SEEDS_OF_SCENES[name], (SIDE, SIDE))
        found.append(read_coco(annotations, target))
    return found


def by_shape(dataset):
    """Returns a data set of scenes with one class for each shape: half as many.

    The classes of scenes are pairs that differ in a detail, which a training as short
    as these does not learn to see. Only the backbone learns them.
    """
    photos = []
    for photo in dataset.photos:
        objects = photo.objects[:]
        objects = dataclasses.replace(objects, labels=objects.labels // 2)
        photos.append(dataclasses.replace(photo, objects=objects))
    return dataclasses.replace(
        dataset,
        photos=photos,
        class_names=("disk", "ring", "gear", "arrow"),
        category_ids=(1, 2, 3, 4),
    )


def parse(argv):
    """Returns the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = list(all_rows())
    add = parser.add_argument
    add("--output", type=pathlib.Path, required=True, help="folder of the page")
    work = pathlib.Path("runs/study")
    add("--work", type=pathlib.Path, default=work, help="of scenes and trainings")
    add("--rows", nargs="+", choices=known, default=known, help="rows to train")
    add("--seeds", type=int, default=3, help="number of seeds (default %(default)s)")
    add("--steps", type=int, default=600, help="of a training (default %(default)s)")
    add("--batch-size", type=int, default=8, help="scenes (default %(default)s)")
    add("--scenes", type=int, default=2000, help="to train on (default %(default)s)")
    add("--machine", default="2 CPU cores", help="what the page says it ran on")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
