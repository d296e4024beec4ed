"""Writes pictures as a video, which appears only when it is complete."""

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_fpn.files import replacing
from keras_fpn.video.pyav import load_pyav, reason

# By preference, with their settings. Builds of FFmpeg without H.264 have MPEG-4.
# Without B-frames the order of packets is that of frames: otherwise the length of a
# video with uneven frames would be written too short.
_ENCODERS = {
    "libx264": {"crf": "20", "preset": "veryfast", "bf": "0"},
    "libopenh264": {"bf": "0"},
    "mpeg4": {"bf": "0"},
}
_BITS = 0.2  # per pixel and frame, for encoders that know no quality
_MPEG4_TICKS = 65535  # per second, at most
_FINEST = 10**4  # denominator of the rate, which FFmpeg keeps in 32 bits
_BT709 = 1  # FFmpeg's number of the colors of high definition


class VideoWriter:
    """Writes an MP4 file of H.264, or MPEG-4 where FFmpeg lacks that.

    As a context it completes the file at its end, also when the work is interrupted:
    by Ctrl-C, or by a generator that is closed. After any other exception, or without a
    picture, no file is left; an older one stays.

    Args:
        path: Path of the file to write, .mp4; parent folders are created.
        rate: Fraction, mean frames per second.
        time_base: Fraction, seconds, in whose multiples frames are.
        pixel_aspect: Fraction, width of a pixel over its height.

    Raises:
        ImportError: PyAV is not installed.
    """

    def __init__(
        self,
        path: Path,
        rate: Fraction,
        time_base: Fraction,
        pixel_aspect: Fraction = Fraction(1),
    ):
        self._av = load_pyav()
        rate = max(rate.limit_denominator(_FINEST), Fraction(1, _FINEST))
        self._path, self._rate, self._aspect = path, rate, pixel_aspect
        self._time_base = time_base
        self._stack = contextlib.ExitStack()
        self._file: Any = None
        self._container: Any = None
        self._stream: Any = None
        self._shape: tuple[int, ...] = ()
        self._tick = -1

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        ended = kind is None or issubclass(kind, (GeneratorExit, KeyboardInterrupt))
        if self._stream is None or not ended:
            return self._stack.__exit__(kind, error, trace)
        with self._failing(), self._stack:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._file.close()
        return None

    def write(self, pixels, time: Fraction):
        """Appends a picture.

        Args:
            pixels: uint8 (H, W, 3), RGB; of the same size each time. An odd side gets
                its last row or column twice, because H.264 halves both for colors.
            time: seconds since the first picture, above that of the last one.

        Raises:
            OSError: it cannot be written.
            ValueError: the encoder refuses pictures of this size, or it has another
                size than the first.
        """
        height, width = pixels.shape[:2]
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        if self._stream is None:
            self._open(*pixels.shape[:2])
        if pixels.shape != self._shape:
            raise ValueError(
                f"Pictures of a video must have one size, {self._shape}; received "
                f"pixels of shape {pixels.shape}."
            )
        rgb = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = rgb.reformat(
            format="yuv420p", dst_colorspace=_BT709, dst_color_range="MPEG"
        )
        self._tick = max(round(time / self._time_base), self._tick + 1)
        frame.pts, frame.time_base = self._tick, self._time_base
        with self._failing():
            self._container.mux(self._stream.encode(frame))

    def _open(self, height, width):
        """Opens the file for pictures of this size."""
        partial = self._stack.enter_context(replacing(self._path))
        self._file = open(partial, "wb")
        self._container = container = self._av.open(self._file, "w", format="mp4")
        self._stack.callback(self._abandon)
        encoder = _encoder(self._av)
        stream = container.add_stream(
            encoder, rate=self._rate, options=_ENCODERS[encoder]
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.sample_aspect_ratio = self._aspect
        stream.colorspace = stream.color_primaries = stream.color_trc = _BT709
        stream.color_range = self._av.video.reformatter.ColorRange.MPEG
        if encoder != "libx264":
            stream.bit_rate = int(_BITS * height * width * self._rate)
        if encoder == "mpeg4" and self._time_base.denominator > _MPEG4_TICKS:
            self._time_base = Fraction(1, _MPEG4_TICKS)
        stream.codec_context.time_base = self._time_base
        try:
            stream.codec_context.open()
        except self._av.FFmpegError as error:
            raise ValueError(
                f"Pictures of a video must have a size that {encoder} encodes; "
                f"received {width}x{height}: {reason(error)}."
            ) from error
        self._stream, self._shape = stream, (height, width, 3)

    def _abandon(self):
        """Closes what is still open, whatever that writes."""
        for each in (self._container, self._file):
            with contextlib.suppress(self._av.FFmpegError, OSError):
                each.close()

    @contextlib.contextmanager
    def _failing(self):
        """Turns errors of FFmpeg into an OSError that names the file."""
        try:
            yield
        except (self._av.FFmpegError, OSError) as error:
            raise OSError(
                f"{self._path} could not be written: {reason(error)}."
            ) from error


def _encoder(av):
    """Returns the name of the first encoder that this build of FFmpeg has."""
    for name in _ENCODERS:
        with contextlib.suppress(av.codec.codec.UnknownCodecError):
            return av.codec.Codec(name, "w").name
    raise OSError(
        f"FFmpeg must have one of the encoders {', '.join(_ENCODERS)}; received a "
        "build of PyAV without them."
    )
