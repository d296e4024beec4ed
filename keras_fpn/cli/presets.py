"""`keras-fpn presets`: lists the published models."""

NO_DOWNLOAD = "; no download: give --weights FILE"


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    return commands.add_parser(
        "presets",
        help="list the published models",
        description="Lists the published models with their accuracy and its source.",
    )


def run(arguments):
    """Prints the table of presets; returns 0."""
    import keras_fpn

    rows = [("preset", "published result", "source")]
    for name, preset in keras_fpn.list_presets().items():
        remark = "" if preset.has_weights else NO_DOWNLOAD
        rows.append((name, _result(preset.metrics), preset.source + remark))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def _result(metrics):
    """Returns data set -> metric -> value as text: "COCO val2017: box AP 37.0"."""
    return "; ".join(
        f"{data}: " + ", ".join(f"{metric} {value}" for metric, value in found.items())
        for data, found in metrics.items()
    )
