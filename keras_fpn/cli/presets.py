"""`keras-fpn presets`: lists the published models."""

# Where weights come from.
IN_PACKAGE, DOWNLOAD, OWN_FILE = "in the package", "download", "--weights FILE"


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    return commands.add_parser(
        "presets",
        help="list the published models",
        description="Lists the published models: where their weights come from (the "
        "package, a download, or a file of yours), their accuracy, and its source.",
    )


def run(arguments):
    """Prints the table of presets; returns 0."""
    import keras_fpn

    rows = [("preset", "weights", "published result", "source")]
    for name, preset in keras_fpn.list_presets().items():
        rows.append((name, _weights(preset), _result(preset.metrics), preset.source))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def _weights(preset):
    """Returns where the weights of a preset come from, str: "download, 160 MB"."""
    from keras_fpn.weights.shipped import ShippedCheckpoint

    if isinstance(preset.checkpoint, ShippedCheckpoint):
        return IN_PACKAGE
    if not preset.has_weights:
        return OWN_FILE
    size = preset.checkpoint.size_mb
    return DOWNLOAD if size is None else f"{DOWNLOAD}, {size:.0f} MB"


def _result(metrics):
    """Returns data set -> metric -> value as text: "COCO val2017: box AP 37.0"."""
    return "; ".join(
        f"{data}: " + ", ".join(f"{metric} {value}" for metric, value in found.items())
        for data, found in metrics.items()
    )
