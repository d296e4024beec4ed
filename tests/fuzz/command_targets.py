"""Command lines as targets: their words, each with a zero byte after it but the last.

Everything runs but the work itself: the parsers, and what is checked before the library
is loaded. Nothing is written, whatever folders a command line names.
"""

import contextlib
import importlib
import io
import os
import re
import unittest.mock

from fuzz.target import Target

from keras_fpn import cli

COMMANDS = "convert data detect evaluate export finetune presets serve train".split()
LINES = [
    "detect a.jpg images --output out --json found.json --threshold 0.5 --flip "
    "--max-detections 7 --scales 0.5,1,2 --merge soft_nms --min-size 800 --recursive",
    "evaluate set.json --weights run --images images --split val --output out",
    "finetune set.json --val other.json --output run --seed 3 --save-every 100 "
    "--classes cat,dog --workers 2 --strategy mirrored --deterministic",
    "train recipe.py set.json --epochs 12 --batch-size 4 --backbone-weights imagenet",
    "export faster_rcnn_resnet50_fpn_coco models --version 3 --max-pixels 999 --xyxy",
    "serve run/best.keras --port 0 --grpc-port 8500 --max-requests 9 --timeout 60",
    "convert a.pth b.keras --preset faster_rcnn_resnet50_fpn_coco",
    "data check set.json --images images --split train",
]
_ERROR = re.compile(r"^keras-fpn[a-z ]*: error: (.*)", re.MULTILINE | re.DOTALL)


def command_targets():
    """Returns the targets of this module, list of `Target`."""
    return [
        Target(
            f"argv{number}",
            _joined(words),
            read_command,
            words,
            _joined,
            share=1,
            is_named=False,
        )
        for number, words in enumerate(map(str.split, LINES))
    ]


def read_command(path):
    """Runs a command line without its work.

    Raises:
        ValueError: it is refused, with the text after "error: ".
        AssertionError: it is refused in another way than by one line.
    """
    words = [os.fsdecode(word) for word in path.read_bytes().split(b"\0")]
    output, errors = io.StringIO(), io.StringIO()
    code = None
    with contextlib.ExitStack() as stack:
        for command in COMMANDS:
            module = importlib.import_module(f"keras_fpn.cli.{command}")
            run = unittest.mock.patch.object(module, "run", return_value=0)
            stack.enter_context(run)
        stack.enter_context(unittest.mock.patch("keras_fpn.cli.detect.make_output"))
        stack.enter_context(contextlib.chdir(path.parent))
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(contextlib.redirect_stderr(errors))
        try:
            code = cli.main(words)
        except SystemExit as end:
            code = end.code
    if code == 0:
        assert not errors.getvalue()
        return
    said = _ERROR.search(errors.getvalue())
    assert code in (1, 2), f"exit code {code}"
    assert said, errors.getvalue()[-300:]
    raise ValueError(said[1].removesuffix("\n"))


def _joined(words):
    """Returns the bytes of a command line; what is no list of texts is made one."""
    words = words if isinstance(words, list) else [words]
    texts = [str(word) for word in words]
    encoded = [text.encode("utf-8", errors="surrogatepass") for text in texts]
    return b"\0".join(text.replace(b"\0", b"") for text in encoded)
