"""`keras-fpn convert`: a published checkpoint as a file of Keras."""

from keras_fpn.cli.errors import reported


def add_parser(commands):
    """Adds the command to argparse's subcommands; returns its parser."""
    parser = commands.add_parser(
        "convert",
        help="turn a file of torchvision or detectron2 into one of Keras",
        description="Writes the weights of a checkpoint of torchvision or detectron2, "
        "published or fine-tuned, as .weights.h5 or as a whole detector, .keras.",
    )
    add = parser.add_argument
    add(
        "source",
        metavar="FILE|PRESET",
        help="a .pth or .pkl file, or the name of a preset, which is downloaded once",
    )
    add("target", metavar="FILE", help="file to write: NAME.weights.h5 or NAME.keras")
    add(
        "--preset",
        metavar="NAME",
        help="architecture of the file (default: recognized by its hash, or by the "
        "names and shapes of its tensors)",
    )
    return parser


def run(arguments):
    """Converts as the command line asks; returns 0."""
    from keras_fpn.conversion import convert_checkpoint

    with reported(ValueError), reported(OSError, code=1):
        done = convert_checkpoint(
            arguments.source, arguments.target, preset=arguments.preset
        )
    source = done.source
    print(f"preset: {source.preset}, known by {source.by}")
    print(f"classes: {len(source.model.class_names)}")
    used = f"used: {source.tensors} tensors, {source.numbers:,} numbers"
    if source.unused_numbers:
        used += (
            f", all but {source.unused_numbers:,} of the background, which has no box "
            "and no mask here"
        )
    print(used)
    reasons = list(source.left_out.values())
    for reason in dict.fromkeys(reasons):
        print(f"left out: {reasons.count(reason)} tensors; {reason}")
    size = f"{done.size / 2**20:.1f} MiB"
    print(f"written: {done.path}, {size}, in {done.seconds:.1f} s")
    return 0
