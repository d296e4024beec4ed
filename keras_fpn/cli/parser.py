"""A parser of command lines that answers a wrong word with the right one."""

import argparse
import difflib
import re
import sys

from keras_fpn.cli.errors import one_line

# What other tools call that which some of our options and arguments are for.
_OTHER_NAMES = {
    "--threshold": "--conf --conf-thres --conf-threshold --confidence "
    "--confidence-threshold --score --score-threshold --score-thr --min-score",
    "--max-detections": "--max-det --max-dets --detections-per-img",
    "--min-size": "--imgsz --img-size --image-size --img --size --resolution --resize",
    "--batch-size": "--batch --bs --ims-per-batch",
    "--epochs": "--num-epochs --max-epochs",
    "--learning-rate": "--lr --lr0 --base-lr",
    "--weights": "--model --checkpoint --ckpt --pretrained --load-from",
    "--preset": "--model --arch --architecture",
    "--output": "--out --out-dir --output-dir --save-dir --project --name --work-dir",
    "--json": "--save-json --save-txt --results",
    "--flip": "--tta --augment",
    "--scales": "--tta --augment",
    "--every": "--vid-stride --stride --frame-stride --skip-frames",
    "--webcam": "--camera --cam --camera-id --device-id",
    "--workers": "--num-workers --threads",
    "--images": "--image-dir --img-dir --photos",
    "--val": "--valid --validation --val-data",
    "--save-every": "--save-period --checkpoint-period",
    "PHOTO": "--source --input --image --images --img-path --photo --file",
    "DATASET": "--data --dataset --annotations --coco",
    "RECIPE": "--config --config-file --cfg --recipe",
    "PRESET|FILE": "--model --input --checkpoint",
    "FILE|PRESET": "--weights --input --source --checkpoint",
    "DIR": "--output --out --output-dir",
}
_OTHER_COMMANDS = {
    "detect": "predict infer inference demo",
    "evaluate": "val validate test benchmark",
    "finetune": "fine-tune fit",
    "data": "dataset",
    "presets": "models zoo list",
}
_REMARKS = {
    "--resume": "; the same command resumes a training",
    "--device": "; the environment variable CUDA_VISIBLE_DEVICES chooses devices",
}
_LONGEST = 500  # letters of a message, which may repeat a word
_NUMBER = re.compile(r"-\d+|-\d*\.\d+")


class Parser(argparse.ArgumentParser):
    """Suggests the options or the command that an unknown word stands for.

    Options must be written out: with argparse's abbreviations, "--max" would be
    another option as soon as there is a second one that begins so.
    """

    def __init__(self, **settings):
        self._options: list[str] = []
        self._arguments: list[str] = []  # what is given without an option
        self._commands: dict[str, argparse.ArgumentParser] = {}
        super().__init__(**{"allow_abbrev": False, **settings})

    def add_argument(self, *names, **settings):
        """Adds an option or an argument, as in argparse."""
        action = super().add_argument(*names, **settings)
        self._options += action.option_strings
        if not action.option_strings:
            self._arguments.append(str(action.metavar))
        return action

    def add_subparsers(self, **settings):
        """Adds commands, as in argparse."""
        action = super().add_subparsers(**settings)
        self._commands = action.choices  # filled later
        return action

    def parse_known_args(self, args=None, namespace=None):
        """As in argparse, but there must be no unknown options.

        argparse would report them last, after it has taken their values for photos, or
        missed an argument.
        """
        words = sys.argv[1:] if args is None else list(args)
        if not {"-h", "--help"} & set(words):
            self._check(words)
        return super().parse_known_args(words, namespace)

    def error(self, message):
        """As in argparse, in one line of a bounded length and without the usage."""
        message, half = one_line(message), _LONGEST // 2
        if len(message) > _LONGEST:
            message = f"{message[:half]} ... {message[-half:]}"
        self.exit(2, f"{self.prog}: error: {message}\n")

    def _check(self, words):
        """Ends the process if there is an unknown option or command."""
        if self._commands and not words:
            self.error(f"name a command: {', '.join(self._commands)}; or --help")
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if not _is_option(name):
                if not self._commands:
                    continue
                if name not in self._commands:
                    self.error(self._unknown_command(name))
                return  # what follows is the command's own
            if name not in self._options:
                remark = self._suggestion(name)
                self.error(f"unrecognized arguments: {name}{remark}")

    def _unknown_command(self, name):
        commands = list(self._commands)
        meant = [
            command
            for command, others in _OTHER_COMMANDS.items()
            if command in commands and name.lower() in others.split()
        ] or difflib.get_close_matches(name.lower(), commands, 1)
        question = f" Did you mean {meant[0]}?" if meant else ""
        known = ", ".join(commands)
        return f"unknown command: {name!r}.{question} All: {known}"

    def _suggestion(self, name):
        """Returns what an unknown option may stand for, str; empty if that is unknown.

        Args:
            name: str, without a value.
        """
        name = "--" + name.strip("-").lower().replace("_", "-")
        if name in _REMARKS:
            return _REMARKS[name]
        known = [*self._options, *self._arguments]
        meant = [
            ours
            for ours, others in _OTHER_NAMES.items()
            if ours in known and name in others.split()
        ]
        meant = meant or [option for option in self._options if option.startswith(name)]
        meant = meant or difflib.get_close_matches(name, self._options, 1, 0.7)
        if not meant:
            return ""
        named = [
            one if _is_option(one) else f"{one}, without an option" for one in meant
        ]
        return f"; did you mean {' or '.join(named)}?"


def _is_option(word):
    """Returns whether argparse takes a word for an option."""
    return (
        len(word) > 1
        and word.startswith("-")
        and " " not in word
        and not _NUMBER.fullmatch(word)
    )
