"""Opens a camera of this machine, as the system's own interface shows it."""

import contextlib
import sys

from keras_fpn.video.pyav import load_pyav, reason
from keras_fpn.video.reader import VideoReader


@contextlib.contextmanager
def open_camera(number: int = 0):
    """Yields the `VideoReader` of a camera, which is closed at the end.

    It takes V4L2 on Linux, AVFoundation on macOS and DirectShow on Windows.

    Args:
        number: int, 0 for the first camera.

    Raises:
        OSError: there is no such camera, or it cannot be opened.
        ImportError: PyAV is not installed.
    """
    av = load_pyav()
    file, settings = _device(av, number)
    try:
        container = av.open(file, **settings)
    except av.FFmpegError as error:
        raise OSError(
            f"A camera must be one that can be opened; received number={number}, "
            f"{file}: {reason(error)}."
        ) from error
    with container:
        yield VideoReader(container, f"webcam{number}")


def _device(av, number):
    """Returns how PyAV opens a camera: what, and the other arguments, a dict."""
    if sys.platform == "darwin":
        # Its own default, 29.97, is a rate that many cameras refuse.
        return str(number), {"format": "avfoundation", "options": {"framerate": "30"}}
    if sys.platform == "win32":
        devices = av.device.enumerate_input_devices("dshow")
        cameras = [one.name for one in devices if "video" in one.media_types]
        if number >= len(cameras):
            raise OSError(
                f"A camera must be one of the {len(cameras)} of this machine, counted "
                f"from 0; received number={number}."
            )
        return f"video={cameras[number]}", {"format": "dshow"}
    return f"/dev/video{number}", {"format": "v4l2"}
