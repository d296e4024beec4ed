"""Videos and cameras for `keras-fpn detect`."""

import argparse
import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import Progress

from keras_fpn.cli.errors import CommandError, one_line, reported
from keras_fpn.cli.input_photos import is_video
from keras_fpn.cli.options import COUNT
from keras_fpn.cli.outcome import Outcome
from keras_fpn.cli.terminal import photo_progress, stoppable

_MOST_CAMERAS = 64


def add_video_options(parser):
    """Adds --every and --webcam."""
    parser.add_argument(
        "--every",
        **COUNT,
        default=1,
        help="of a video or camera, take every N-th frame (default %(default)s)",
    )
    # A number alone, as elsewhere `source=0`, could be the name of a file.
    parser.add_argument(
        "--webcam",
        metavar="N",
        nargs="?",
        type=camera,
        const=0,
        help="detect in what a camera of this machine sees, until Ctrl-C; N counts "
        "from 0 (default %(const)s)",
    )


def check_videos(arguments):
    """Checks, without the library, what goes with videos and cameras.

    Raises:
        CommandError: an option is for photos alone, photos are given with a camera, or
            PyAV is not installed.
    """
    videos = [one for one in arguments.photos if is_video(one)]
    if arguments.webcam is not None:
        if arguments.photos or arguments.sample:
            raise CommandError(
                "--webcam must stand without photos and videos, because a camera has "
                "no end. Leave one of them out."
            )
        videos = [f"--webcam {arguments.webcam}"]
    if not videos:
        return
    for option in ("proposals", "panoptic"):
        if getattr(arguments, option) is not None:
            raise CommandError(
                f"--{option} must be given for photos alone; received it with "
                f"{videos[0]}. Leave it out, or save the frames as photos."
            )
    from keras_fpn.video.pyav import load_pyav

    with reported(ImportError):
        load_pyav()


def camera(text: str):
    """Returns the number of a camera from the command line; argparse shows this."""
    value = int(text)
    if not 0 <= value < _MOST_CAMERAS:
        raise argparse.ArgumentTypeError(
            f"must be 0 to {_MOST_CAMERAS - 1}; received {text}"
        )
    return value


@dataclasses.dataclass(frozen=True)
class _Source:
    """A video or camera: what opens it, its name, and where its video is saved."""

    opened: contextlib.AbstractContextManager
    name: str
    target: Path


def detect_videos(model, title, photos, arguments, options, outcome):
    """Detects in the videos, or in what the camera sees, with a progress bar.

    A video that fails gets a line on stderr and does not stop the others.

    Args:
        model, title: as `load_detector` returns them.
        photos: `InputPhotos`.
        arguments: of the command line.
        options: dict of arguments of `model.detect` for all photos and frames.
        outcome: `Outcome`, which is added to.

    Raises:
        CommandError: the detector needs proposals.
    """
    from keras_fpn.data.image_files import image_ids
    from keras_fpn.models.given_proposals import takes_proposals

    sources = _sources(photos, arguments)
    if not sources:
        return
    if takes_proposals(model):
        raise CommandError(
            "A video must be given to a detector that makes its own proposals; "
            f"received a {type(model).__name__}."
        )
    own = {name: value for name, value in options.items() if name != "proposals"}
    own["every"] = arguments.every
    first_id = max(image_ids(photos.paths), default=-1) + 1
    begin = time.perf_counter()
    with photo_progress() as bar, stoppable() as stopped:
        work = _Work(model, title, own, outcome, bar, stopped)
        try:
            for source in sources:
                if not stopped():
                    first_id += work.detect(source, first_id)
        except KeyboardInterrupt:
            outcome.interrupted = True
        # A camera has no other end.
        outcome.interrupted |= stopped() and arguments.webcam is None
    outcome.seconds += time.perf_counter() - begin


def _sources(photos, arguments):
    """Returns what is to be read, list of `_Source`."""
    from keras_fpn.report import picture_paths
    from keras_fpn.video import open_camera, open_video

    if arguments.webcam is not None:
        name = f"webcam{arguments.webcam}"
        begin = time.strftime("%Y-%m-%d_%H-%M-%S")  # no recording replaces another
        target = arguments.output / f"{name}_{begin}.mp4"
        return [_Source(open_camera(arguments.webcam), name, target)]
    targets = picture_paths(photos.videos, arguments.output, ".mp4")
    return [
        _Source(_opened(open_video, path, photos), photos.name_of(path), target)
        for path, target in zip(photos.videos, targets, strict=True)
    ]


@contextlib.contextmanager
def _opened(open_video, path, photos):
    """Yields the `VideoReader` of a file; raises OSError if its download failed."""
    if path in photos.errors:
        raise OSError(photos.errors[path])
    with open_video(path) as video:
        yield video


@dataclasses.dataclass(frozen=True)
class _Work:
    """What the work on all videos shares; see `detect_videos`."""

    model: Any
    title: str | None
    options: dict
    outcome: Outcome
    bar: Progress
    stopped: Callable[[], bool]

    def detect(self, source, first_id):
        """Detects in one video; returns the number of frames that were read, int."""
        outcome, number_of_frames = self.outcome, 0
        try:
            with source.opened as video:
                try:
                    written = self._frames(video, source, first_id)
                finally:  # results of a video that fails have their ids, too
                    number_of_frames = video.num_read
                damage = "" if self.stopped() else video.damage
        except (ValueError, OSError) as error:
            outcome.failed_videos += 1
            self._say(f"{source.name}: {one_line(error)}")
            return number_of_frames
        if written:  # none, if Ctrl-C came before the first
            outcome.frames += written
            outcome.videos.append(source.target)
        if damage:
            outcome.damaged += 1
            self._say(
                f"{source.name}: It is damaged: {damage}. {source.target} has the "
                "frames that could be read."
            )
        return number_of_frames

    def _frames(self, video, source, first_id):
        """Returns the number of frames that were detected in, int."""
        from keras_fpn.report import detect_video

        name = escape(one_line(Path(source.name).name))
        task = self.bar.add_task(name, total=video.num_frames)
        options = {**self.options, "stopped": self.stopped}
        detected = detect_video(self.model, video, source.target, self.title, **options)
        written = 0
        with contextlib.closing(detected):  # completes the video, also after Ctrl-C
            for frame in detected:
                written += 1
                more = {"frame": frame.number, "time": round(frame.time, 6)}
                image_id = first_id + frame.number
                self.outcome.add(
                    frame.found, image_id, self.model, file_name=source.name, **more
                )
                self.bar.update(task, completed=frame.number + 1)
        return written

    def _say(self, line):
        self.bar.console.out(one_line(line), highlight=False)
