"""Small videos whose frames tell their number and which side is up."""

from fractions import Fraction

import av
import numpy as np

RED = (200, 30, 60)
_SAMPLES = 32000  # of sound, per second


def picture(number, size=(48, 64)):
    """A frame: gray, brighter with its number; the upper left quarter is red."""
    height, width = size
    pixels = np.full((height, width, 3), 20 + 4 * number % 200, np.uint8)
    pixels[: height // 2, : width // 2] = RED
    return pixels


def write_clip(
    path,
    frames=6,
    size=(48, 64),
    rate=10,
    codec="libx264",
    times=None,
    turn=None,
    aspect=None,
    sound=False,
    sound_codec="aac",
    noise=0,
    **settings,
):
    """Writes `picture`s; `times` in ms, `turn` as of `set_display_rotation`."""
    base = Fraction(1, 1000 if times else rate)
    random = np.random.default_rng(0)
    # The index comes first, so that a file that is cut off can still be read.
    options = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options, **settings) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = base
        if codec == "libx264":  # every frame alone, so that damage stays in one
            stream.codec_context.options = {"x264-params": "keyint=1"}
        if aspect:
            stream.sample_aspect_ratio = aspect
        if turn:
            stream.set_display_rotation(*turn)
        if sound:
            _add_sound(container, sound, sound_codec)
        for number in range(frames):
            pixels = picture(number, size)
            if noise:
                rows, columns = np.array(size) // 2
                pixels[rows:, columns:] = random.integers(
                    0, noise, (rows, columns, 3), np.uint8
                )
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = times[number] if times else number
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path):
    """Writes a file of sound alone."""
    with av.open(str(path), "w") as container:
        _add_sound(container, 1)
    return path


def _add_sound(container, seconds, codec="aac"):
    stream = container.add_stream(codec, rate=_SAMPLES)
    samples = np.zeros((1, _SAMPLES * seconds), np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = _SAMPLES, 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def decoded(path):
    """Times in seconds and pixels of a video's frames, read by PyAV alone."""
    with av.open(str(path)) as container:
        [stream] = container.streams.video
        frames = list(container.decode(stream))
    return [float(frame.time) for frame in frames], [
        frame.to_ndarray(format="rgb24") for frame in frames
    ]
