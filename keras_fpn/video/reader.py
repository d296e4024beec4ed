"""Reads the frames of a video one by one, upright, in RGB."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from PIL import Image

from keras_fpn.files import PathLike, check_regular
from keras_fpn.video.orientation import display_matrix, is_transposed, upright
from keras_fpn.video.pyav import load_pyav, reason

# FFmpeg reads hundreds more. Among them are lists of other files and addresses, which
# it would open, and programs that draw: none of these is a video.
_FORMATS = "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg,mxf,dv,ivf"
_NAMES = "MP4, MOV, Matroska, WebM, AVI, MPEG, ASF, FLV, Ogg, MXF, DV and IVF"
_MOST_BYTES = 2**62
_RATE = Fraction(25)  # of a video that does not say it
_PAUSE = 0.01  # seconds, until a camera that has no frame yet is asked again
_OF_ALL = "asf"  # a format that states the length of the file as that of each stream
_SHORT = 1.0  # seconds; a video that ends earlier than announced by more is cut off


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        number: int, from 0, in the whole video.
        time: Fraction, seconds since the first frame.
        pixels: uint8 (H, W, 3), RGB, upright.
    """

    number: int
    time: Fraction
    pixels: np.ndarray

    def __repr__(self):
        height, width = self.pixels.shape[:2]
        return f"<Frame {self.number}: {float(self.time):.3f} s, {height} x {width}>"


@contextlib.contextmanager
def open_video(path: PathLike):
    """Yields the `VideoReader` of a file, which is closed at the end.

    Args:
        path: str or os.PathLike. What the file holds decides on its format, not its
            name: one of MP4, MOV, Matroska, WebM, AVI, MPEG, ASF, FLV, Ogg, MXF, DV and
            IVF.

    Raises:
        ValueError: it is no video, has no pictures, or frames of more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`.
        OSError: it cannot be read, or is a pipe or a device.
        ImportError: PyAV is not installed.
    """
    av = load_pyav()
    check_regular(path, _MOST_BYTES)
    allowed = {"format_whitelist": _FORMATS}
    with open(path, "rb") as file:  # FFmpeg would take some names for addresses
        try:
            container = av.open(
                file, container_options=allowed, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError) as error:  # OSError of an empty file
            raise ValueError(
                f"A video must be in one of the formats {_NAMES}; received "
                f"video={str(path)!r}, which is in none of them, or its start is "
                f"damaged: {reason(error)}. Convert it to MP4."
            ) from error
        with container:
            yield VideoReader(container, str(path))


class VideoReader:
    """The frames of an opened container of PyAV.

    Args:
        container: `av.container.InputContainer`, a file or a device.
        name: str, what messages call it.

    Attributes:
        rate: Fraction, mean frames per second.
        time_base: Fraction, seconds, in whose multiples frames are.
        num_frames: int, frames as far as the file says; None if it does not.
        num_read: int, frames that were decoded so far.
        pixel_aspect: Fraction, width of a pixel over its height, once a frame was read.
        damage: str, what was found to be damaged while reading; empty if nothing.

    Raises:
        ValueError: it has no pictures, or too large ones.
    """

    def __init__(self, container, name: str):
        self._av = load_pyav()
        self._container, self._name = container, name
        self._stream = _pictures(container, name)
        stream = self._stream
        _check_size(stream.codec_context, name)
        most = Image.MAX_IMAGE_PIXELS
        if most is not None:  # before larger frames, which may come later, are decoded
            stream.codec_context.options = {"max_pixels": str(most)}
        self.rate = stream.average_rate or stream.guessed_rate or _RATE
        self.time_base = stream.time_base or 1 / self.rate
        self.pixel_aspect = Fraction(1)
        self._seconds = _announced(container, stream)
        self.num_frames = stream.frames or None
        if self.num_frames is None and self._seconds is not None:
            self.num_frames = round(self._seconds * self.rate)
        self.num_read = 0
        self._size: tuple[int, int] | None = None  # as stored: width, height
        self._clock = _Clock(self.time_base, 1 / self.rate)
        self._broken, self._end = 0, ""

    def __repr__(self):
        return f"<VideoReader {self._name}: {float(self.rate):.6g} frames per second>"

    @property
    def damage(self) -> str:
        """What was found to be damaged, str, the end of a sentence; or empty."""
        packets = "packet" if self._broken == 1 else "packets"
        parts = [f"{self._broken} {packets} could not be decoded"] * bool(self._broken)
        return ", and ".join([*parts, *filter(None, [self._end])])

    def frames(
        self, every: int = 1, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Frame]:
        """Reads the frames, once.

        Frames that cannot be decoded are left out, as players do, and counted in
        `damage`. A frame of another size than the first is resized to that.

        Args:
            every: only every n-th frame is yielded, from the first on.
            stopped: function that is asked before each frame, and while a camera has
                none, whether to end here.

        Yields:
            `Frame`, in the order of their times, which are strictly increasing.

        Raises:
            ValueError: no frame can be decoded, or one is too large.
        """
        for decoded in self._decoded(stopped):
            if stopped():
                return
            number, begin = self.num_read, self._clock.time_of(decoded)
            self.num_read += 1
            if number % every == 0:
                yield Frame(number, begin, self._pixels(decoded))
        if self.num_read == 0 and not stopped():
            raise ValueError(
                "A video must have frames that can be decoded; received "
                f"video={self._name!r} without one"
                f"{f': {self.damage}' if self.damage else ''}."
            )
        self._end = self._end or self._clock.missing(self._seconds)

    def _decoded(self, stopped):
        """Yields the frames of PyAV that can be decoded."""
        for packet in self._packets(stopped):
            try:
                frames = self._stream.decode(packet)
                self._broken += packet is not None and packet.is_corrupt
            except self._av.FFmpegError:
                self._broken += packet is not None
                frames = []
            yield from frames

    def _packets(self, stopped):
        """Yields packets of PyAV, then None for the frames that a decoder still holds.

        PyAV's own last packet is empty, and so may be some between others.
        """
        waiting = True
        while waiting and not stopped():
            waiting = False
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:
                        yield packet
            except BlockingIOError:
                waiting = True
                time.sleep(_PAUSE)
            except (self._av.FFmpegError, OSError) as error:
                self._end = f"it cannot be read further: {reason(error)}"
        yield None

    def _pixels(self, decoded):
        """Returns uint8 (H, W, 3), upright, of a frame of PyAV."""
        _check_size(decoded, self._name)
        matrix = display_matrix(decoded)
        if self._size is None:
            self._size = decoded.width, decoded.height
            aspect = self._stream.sample_aspect_ratio or Fraction(1)
            self.pixel_aspect = 1 / aspect if is_transposed(matrix) else aspect
        width, height = self._size
        try:
            pixels = decoded.to_ndarray(format="rgb24", width=width, height=height)
        except self._av.FFmpegError as error:
            raise ValueError(
                f"A video's frames must be convertible to RGB; received "
                f"video={self._name!r} of format {decoded.format.name}: "
                f"{reason(error)}."
            ) from error
        return upright(pixels, matrix)


class _Clock:
    """Times of frames, Fraction, seconds since the first, strictly increasing."""

    def __init__(self, time_base, step):
        self._time_base, self._step = time_base, step
        self._first = self._last = None
        self._end = Fraction(0)

    def time_of(self, decoded):
        """Returns the time of a frame of PyAV, which may be without one, or go back."""
        next_time = Fraction(0) if self._last is None else self._last + self._step
        time = next_time
        if decoded.pts is not None:  # in the stream's base: it may be without its own
            stored = decoded.pts * self._time_base
            self._first = stored - next_time if self._first is None else self._first
            time = stored - self._first
        if self._last is not None and time <= self._last:
            time = next_time
        self._last = time
        self._end = time + ((decoded.duration or 0) * self._time_base or self._step)
        return time

    def missing(self, seconds):
        """Returns how a video ends before its announced end, str; empty if not."""
        if seconds is None or self._end > seconds - _SHORT:
            return ""
        return f"it ends after {float(self._end):.1f} of {seconds:.1f} s"


def _pictures(container, name):
    """Returns the stream of pictures of a container."""
    cover = load_pyav().stream.Disposition.attached_pic
    for stream in container.streams.video:
        if stream.disposition & cover:
            continue
        if stream.codec_context is None:
            raise ValueError(
                "A video's pictures must be of a kind that FFmpeg decodes; received "
                f"video={name!r}, whose kind it does not know. Convert it to H.264."
            )
        return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams}))
    raise ValueError(
        f"A video must have pictures; received video={name!r}, which has "
        f"{kinds or 'nothing'}."
    )


def _announced(container, stream):
    """Returns how long a video is by its own account, float seconds, or None.

    The length of the whole file may be that of its sound.
    """
    if stream.duration and stream.time_base and container.format.name != _OF_ALL:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        return container.duration / load_pyav().time_base
    return None


def _check_size(frame, name):
    """Raises ValueError for frames, or a decoder, of too many pixels."""
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and frame.width * frame.height > most:
        raise ValueError(
            f"A video's frames must have at most {most} pixels; received "
            f"video={name!r} of {frame.width}x{frame.height}. Make it smaller, or "
            "raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
        )
