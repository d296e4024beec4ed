"""Types of arguments that must be files or folders which exist.

They are checked while the command line is read, before the library is loaded.
"""

import argparse
import os
from pathlib import Path

from keras_fpn.files import HUB, similar_path


def path(text: str):
    """Returns the text, the path of a file or folder.

    Raises:
        argparse.ArgumentTypeError: it does not exist.
    """
    if os.path.exists(text):
        return text
    raise argparse.ArgumentTypeError(
        f"must be an existing file or folder; received {text!r}.{similar_path(text)}"
    )


def path_or_name(text: str):
    """Returns the text: the path of a file or folder, or a name, such as a preset's.

    What has a suffix or more than one part is a path.

    Raises:
        argparse.ArgumentTypeError: it is a path, which does not exist.
    """
    is_path = Path(text).suffix or len(Path(text).parts) > 1
    return path(text) if is_path and not text.startswith(HUB) else text
