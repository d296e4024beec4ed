"""PyAV, which reads and writes videos by FFmpeg's libraries."""

from keras_fpn.extras import from_extra


def load_pyav():
    """Imports and returns the module `av`.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return from_extra("av", "video", "Reading videos")


def reason(error) -> str:
    """Returns why FFmpeg failed, in lower case and without its number."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
