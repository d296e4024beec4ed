"""Detects objects in a video and writes it again with what was found."""

import contextlib
import dataclasses
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np

from keras_fpn.report.drawn_results import draw_results
from keras_fpn.video import VideoReader, VideoWriter
from keras_fpn.visualize.lettering import font_for, letter_size, title_strip


@dataclasses.dataclass(frozen=True, eq=False)
class DetectedFrame:
    """What was found in one frame of a video.

    Attributes:
        number: int, from 0, in the whole video.
        time: float, seconds since the first frame.
        found: dict as `model.detect` returns it, boxes in pixels of the upright frame.
    """

    number: int
    time: float
    found: dict

    def __repr__(self):
        found = f"{len(self.found['boxes'])} boxes" if "boxes" in self.found else "maps"
        return f"<DetectedFrame {self.number}: {self.time:.3f} s, {found}>"


def detect_video(
    model,
    video: VideoReader,
    path: str | Path,
    title: str | None = None,
    every: int = 1,
    stopped: Callable[[], bool] = lambda: False,
    **limits,
) -> Generator[DetectedFrame, None, None]:
    """Detects objects in the frames of a video and writes an annotated one.

    The annotated video has the size of the frames and their times. It appears when the
    iteration ends, also when that is before the video's end. After an error there is
    none.

    Args:
        model: detector, such as `keras_fpn.models.FasterRCNN`.
        video: what `keras_fpn.video.open_video` or `open_camera` yields.
        path: the .mp4 file to write.
        title: text over the top of every frame, or None.
        every: only every n-th frame is detected in and written, from the first on.
        stopped: function that is asked before each frame, and while a camera has none,
            whether to end here.
        **limits: arguments of `model.detect`, as for `detect_photos`.

    Yields:
        `DetectedFrame` for each of these frames, in order.

    Raises:
        ValueError: a frame cannot be read or detected in.
        OSError: the annotated video cannot be written.
    """
    writer, strip = None, None
    with contextlib.ExitStack() as stack:
        for frame in video.frames(every, stopped):
            [found] = model.detect([frame.pixels], **limits)
            picture = draw_results(frame.pixels, found, model, still=False)
            if writer is None:
                settings = video.rate / every, video.time_base, video.pixel_aspect
                writer = stack.enter_context(VideoWriter(Path(path), *settings))
                strip = title and _strip(title, picture)
            if strip:
                picture.paste(strip)
            writer.write(np.asarray(picture), frame.time)
            yield DetectedFrame(frame.number, float(frame.time), found)


def _strip(title, picture):
    """Returns a title as a strip of the picture's width, PIL.Image."""
    font = font_for([title], letter_size(picture))
    return title_strip(title, font, picture.width)
