"""The page of the study: tables, charts and pictures of its results."""

import itertools

import matplotlib.figure
import numpy as np
from PIL import Image

from keras_fpn.files import replacing
from keras_fpn.preprocessing import read_photo
from keras_fpn.visualize import draw_detections

_SCALES = ("small", "medium", "large")
_COLORS = ("#9fb3c8", "#627d98", "#243b53", "#f0b429", "#de911d", "#2a9d8f")
_SHOWN_THRESHOLD = 0.5
_MOST_SHOWN = 15  # per scene
_HEAD = """# What each part of the pyramid does

Every row below was trained on the same generated scenes, with the same steps, learning
rates and seeds; only the parts that its name says differ. Numbers are in %, the mean
over the seeds and, behind ±, their standard deviation. In brackets stands the number of
the FPN paper (arXiv:1612.03144) for ResNet-50 on COCO: another network, other data and
a far longer training. So only the order of the rows can be compared, not the numbers.

{settings}

Made by `{command}`; the trainings took {minutes:.0f} minutes on {machine}.
"""


def write_page(folder, rows, results, dataset, command, machine):
    """Writes README.md and its pictures.

    Args:
        folder: Path.
        rows: dict of key -> `Row`.
        results: dict of key -> list of results, one for each seed.
        dataset: the data set that was measured on.
        command: str, which made the results.
        machine: str, on which they were made.
    """
    rows = {key: row for key, row in rows.items() if key in results}
    everything = list(itertools.chain(*results.values()))
    text = [
        _HEAD.format(
            settings=_settings(everything, dataset),
            command=command,
            machine=machine,
            minutes=sum(result["seconds"] for result in everything) / 60,
        )
    ]
    for table, group in itertools.groupby(rows.values(), lambda row: row.table):
        own = list(group)
        chart = f"{own[0].key[:-1]}_by_scale.png"
        _save(chart_by_scale(own, results), folder / chart)
        text += [f"## {table}\n", _table(own, results), f"![{table}]({chart})\n"]
        picture = f"{own[0].key[:-1]}_scenes.png"
        with replacing(folder / picture) as new:
            pictures(own, results, dataset).save(new)
        text += [f"![Scenes]({picture})\n"]
    with replacing(folder / "README.md") as new:
        new.write_text("\n".join(text), "utf-8")


def _settings(results, dataset):
    first = results[0]["settings"]
    return (
        f"{first['scenes']} scenes of {first['side']}x{first['side']} pixels to train "
        f"on, {len(dataset)} others to measure on; {first['steps']} steps of "
        f"{first['batch_size']} scenes; seeds "
        f"{sorted({result['settings']['seed'] for result in results})}; ResNet-18 of "
        "24 to 192 channels, pyramids of 64."
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


def _table(rows, results):
    names = rows[0].numbers
    lines = [
        f"| | {' | '.join(names)} | parameters | seeds |",
        "|---|" + "---|" * (len(names) + 2),
    ]
    for row in rows:
        own = results[row.key]
        cells = [_cell(own, name, row.paper.get(name)) for name in names]
        size = f"{own[0]['parameters'] / 1e6:.2f} M"
        lines.append(f"| {row.title} | {' | '.join(cells)} | {size} | {len(own)} |")
    return "\n".join(lines) + "\n"


def _cell(results, name, paper):
    mean, spread = mean_and_spread(results, name)
    text = "-" if np.isnan(mean) else f"{mean:.1f}"
    text += "" if np.isnan(spread) else f" ± {spread:.1f}"
    return text + ("" if paper is None else f" [{paper:.1f}]")


def chart_by_scale(rows, results):
    """Returns a bar chart: for each scale of objects, one bar per row.

    Args:
        rows: list of `Row` of one table.
        results: dict of key -> list of results.
    """
    figure = matplotlib.figure.Figure((8, 3.6), layout="constrained")
    axes = figure.subplots()
    whole = rows[0].numbers[1]
    width = 0.8 / len(rows)
    for index, row in enumerate(rows):
        bars = [
            mean_and_spread(results[row.key], f"{whole}_{scale}") for scale in _SCALES
        ]
        axes.bar(
            np.arange(len(_SCALES)) + (index - (len(rows) - 1) / 2) * width,
            [mean for mean, _ in bars],
            0.9 * width,
            yerr=[np.nan_to_num(spread) for _, spread in bars],
            color=_COLORS[index % len(_COLORS)],
            label=row.title,
            error_kw={"elinewidth": 1, "ecolor": "#7b8794"},
        )
    axes.set_xticks(range(len(_SCALES)), [f"{scale} objects" for scale in _SCALES])
    axes.set_ylabel(f"{whole}, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def pictures(rows, results, dataset):
    """Returns a picture: one line per row, its first seed's results in a few scenes.

    Args:
        rows, results: as in `chart_by_scale`.
        dataset: the data set that was measured on.
    """
    lines = []
    for row in rows:
        first = results[row.key][0]
        line = []
        for photo, found in zip(dataset.photos, first["shown"], strict=False):
            boxes, scores = np.array(found["boxes"]), np.array(found["scores"])
            labels = np.array(found["labels"], int)
            best = np.flatnonzero(scores > _SHOWN_THRESHOLD)[:_MOST_SHOWN]
            names = (
                ["object"] if row.numbers[0].startswith("AR") else dataset.class_names
            )
            picture = draw_detections(
                read_photo(photo.path),
                boxes.reshape(-1, 4)[best],
                labels[best],
                scores[best],
                names,
                row.title,
            )
            line.append(np.asarray(picture))
        lines.append(np.concatenate(line, axis=1))
    return Image.fromarray(np.concatenate(lines))


def _save(figure, path):
    with replacing(path) as new:
        figure.savefig(new, dpi=110, metadata={"Software": None})
