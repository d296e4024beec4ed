"""The page of the study: tables, charts and pictures of its results."""

import itertools

import matplotlib.figure
import numpy as np
from PIL import Image

from keras_fpn.data.statistics import statistics
from keras_fpn.files import replacing
from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize import draw_detections, draw_masks
from pyramid_study.rows import SIDE, TABLES, all_rows

ROWS = all_rows()
_SCALES = ("small", "medium", "large")
_COLORS = ("#9fb3c8", "#627d98", "#243b53", "#f0b429", "#de911d", "#2a9d8f")
_SHOWN_THRESHOLD = 0.5
_MOST_SHOWN = 15  # per scene
_FEWEST_OBJECTS = 20  # of a scale whose numbers stand on the page
_HEAD = """# What each part of the pyramid does

Every row below was trained on the same generated scenes, with the same steps, learning
rates and seeds; only the parts that its name says differ. Numbers are in %, the mean
over the seeds and, behind ±, their standard deviation. In brackets stands the number of
the FPN paper (arXiv:1612.03144) for ResNet-50 on COCO: another network, other data and
a far longer training. So only the order of the rows can be compared, not the numbers.

{settings}

Made by `{command}`; the trainings took {minutes:.0f} minutes on {machine}.
"""


def write_page(folder, results, settings, dataset, command, machine):
    """Writes README.md and its pictures, with the rows that have results.

    Args:
        folder: Path.
        results: dict of key of a row -> list of results, one for each seed.
        settings: dict with "steps", "batch_size" and "scenes" of each training.
        dataset: the data set that was measured on.
        command: str, which made the results.
        machine: str, on which they were made.
    """
    everything = list(itertools.chain(*results.values()))
    counts = objects_by_scale(dataset)
    scales = [scale for scale in _SCALES if counts[scale] >= _FEWEST_OBJECTS]
    text = [
        _HEAD.format(
            settings=_settings(settings, dataset, counts),
            command=command,
            machine=machine,
            minutes=sum(result["seconds"] for result in everything) / 60,
        )
    ]
    for table in TABLES:
        own = {key: results[key] for key in table.rows if key in results}
        if not own:
            continue
        chart, picture = f"{table.stem}_by_scale.png", f"{table.stem}_scenes.png"
        _save(chart_by_scale(table, own, scales), folder / chart)
        with replacing(folder / picture) as new:
            pictures(own, dataset).save(new)
        text += [f"## {table.title}\n", f"{table.note}\n", _table(table, own, scales)]
        text += [f"![By scale]({chart})\n", f"![Scenes]({picture})\n"]
    with replacing(folder / "README.md") as new:
        new.write_text("\n".join(text), "utf-8")


def _settings(settings, dataset, counts):
    of_scales = ", ".join(f"{count} {scale}" for scale, count in counts.items())
    return (
        f"{settings['scenes']} scenes of {SIDE}x{SIDE} pixels, with objects of four "
        "shapes as classes, to train on, "
        f"{len(dataset)} others to measure on; {settings['steps']} steps of "
        f"{settings['batch_size']} scenes; ResNet-18 of 24 to 192 channels, which has "
        "first learned to classify single objects of these scenes, as the papers' have "
        "learned ImageNet; pyramids of 64 channels.\n\n"
        f"The scenes to measure on show {of_scales} objects by COCO's limits (32 and "
        f"96 pixels squared); a scale of fewer than {_FEWEST_OBJECTS} is left out."
    )


def mean_and_spread(results, name):
    """Returns the mean and the standard deviation over seeds, in %; NaN if unknown.

    Args:
        results: list of results of one row.
        name: str, of a number.
    """
    known = (result["values"].get(name) for result in results)
    values = 100 * np.array([np.nan if v is None else v for v in known], float)
    spread = values.std(ddof=1) if len(values) > 1 else np.nan
    return values.mean(), spread


def _table(table, results, scales):
    places = [
        place
        for place, name in enumerate(table.numbers)
        if name.rpartition("_")[2] not in set(_SCALES).difference(scales)
    ]
    names = [table.numbers[place] for place in places]
    lines = [
        f"| | {' | '.join(names)} | parameters | seeds |",
        "|---|" + "---|" * (len(names) + 2),
    ]
    for key, own in results.items():
        paper = table.rows[key] or (None,) * len(table.numbers)
        cells = [_cell(own, table.numbers[place], paper[place]) for place in places]
        size = f"{own[0]['parameters'] / 1e6:.2f} M"
        title = ROWS[key].title
        lines.append(f"| {title} | {' | '.join(cells)} | {size} | {len(own)} |")
    return "\n".join(lines) + "\n"


def _cell(results, name, paper):
    mean, spread = mean_and_spread(results, name)
    text = "-" if np.isnan(mean) else f"{mean:.1f}"
    text += "" if np.isnan(spread) else f" ± {spread:.1f}"
    return text + ("" if paper is None else f" [{paper:.1f}]")


def objects_by_scale(dataset):
    """Returns the number of objects of each scale, dict of name -> int."""
    sizes = statistics(dataset).sizes.sum(axis=0)
    return dict(zip(_SCALES, sizes.tolist(), strict=True))


def chart_by_scale(table, results, scales):
    """Returns a bar chart: for each scale of objects, one bar per row.

    Args:
        table: `Table`.
        results: dict of key -> list of results, of its rows.
        scales: list of str, names of the scales.
    """
    figure = matplotlib.figure.Figure((8, 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(results)
    for index, (key, own) in enumerate(results.items()):
        bars = [mean_and_spread(own, f"{table.scaled}_{scale}") for scale in scales]
        axes.bar(
            np.arange(len(scales)) + (index - (len(results) - 1) / 2) * width,
            [mean for mean, _ in bars],
            0.9 * width,
            yerr=[np.nan_to_num(spread) for _, spread in bars],
            color=_COLORS[index % len(_COLORS)],
            label=ROWS[key].title,
            error_kw={"elinewidth": 1, "ecolor": "#7b8794"},
        )
    axes.set_xticks(range(len(scales)), [f"{scale} objects" for scale in scales])
    axes.set_ylabel(f"{table.scaled}, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, ncols=3, loc="outside lower center")
    return figure


def pictures(results, dataset):
    """Returns a picture: one line per row, its first seed's results in a few scenes.

    Args:
        results: dict of key -> list of results.
        dataset: the data set that was measured on.
    """
    lines = []
    for key, own in results.items():
        line = []
        for photo, found in zip(dataset.photos, own[0]["shown"], strict=False):
            boxes, scores = np.array(found["boxes"]), np.array(found["scores"])
            best = np.flatnonzero(scores > _SHOWN_THRESHOLD)[:_MOST_SHOWN]
            pixels = read_photo(photo.path)
            labels = np.array(found["labels"], int)[best]
            if "masks" in found:
                masks = [found["masks"][row] for row in best]
                pixels = draw_masks(pixels, masks, np.arange(len(masks)))
            picture = draw_detections(
                pixels,
                boxes.reshape(-1, 4)[best],
                labels,
                scores[best],
                own[0]["class_names"],
                ROWS[key].title,
            )
            line.append(np.asarray(picture))
        lines.append(np.concatenate(line, axis=1))
    return Image.fromarray(np.concatenate(lines))


def _save(figure, path):
    with replacing(path) as new:
        figure.savefig(new, dpi=110, metadata={"Software": None})
