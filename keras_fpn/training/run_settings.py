"""What a run folder says about its run, and whether another run may go on in it."""

import json
import os
import sys

import keras
import numpy as np
import PIL

from keras_fpn.files import replacing

NAME = "run.json"
LOCK = ".lock"
# What the numbers of a training depend on beside its settings. It is raised with every
# change after which a run that was begun before would end with other weights.
# 1: there was no number; RoIs beyond 896 pixels read P6 while training.
FORMAT = 2
_ABSENT = "nothing"
_DESCRIBED = ("model", "optimizer")  # settings in the words of a version
_PACKAGE = __name__.partition(".")[0]


def open_run(folder, settings):
    """Writes a new run's settings into a folder, or compares them with the run there.

    No other process can open the folder until this one ends or closes what is returned.
    Where the system or the disk has no locks, nothing is locked.

    Args:
        folder: Path; it is made.
        settings: dict for JSON.

    Returns:
        int, a file descriptor that holds the lock; None without locks.

    Raises:
        ValueError: the folder holds something else, or a run of other settings, or
            another process trains in it.
    """
    settings = _as_json(settings)
    path = folder / NAME
    _check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    locked = _locked(folder)
    try:
        if path.is_file():
            _check_same(path, settings)
        else:
            content = {
                "format": FORMAT,
                "settings": settings,
                "made_with": _made_with(),
            }
            with replacing(path) as partial:
                partial.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    except BaseException:
        if locked is not None:
            os.close(locked)
        raise
    return locked


def remove_partial_files(folder):
    """Removes what processes left that were killed while they wrote a file."""
    for path in folder.glob(".*.partial*"):
        path.unlink(missing_ok=True)


def _check_folder(folder):
    """Refuses what is no folder, and a folder with files but without a run."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(
            f"The output must be a folder; received {folder}, which is a file. Choose "
            "another output folder."
        )
    names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if name != LOCK and ".partial" not in name]
    if others and NAME not in names:
        raise ValueError(
            "The output folder must be new, empty, or that of a run to go on with; "
            f"received {folder}, which holds {others[0]!r} and no {NAME}. Choose "
            "another output folder."
        )


def _locked(folder):
    """Returns an open file that no other process can lock; None without locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        os.close(file)
        raise ValueError(
            f"Only one process may train in a folder; received {folder}, in which "
            "another one is training now. Wait for it, end it, or choose another "
            "output folder."
        ) from error
    except OSError:  # a file system without locks
        os.close(file)
        return None
    return file


def _check_same(path, settings):
    """Raises for another format or other settings; says if versions are others."""
    try:
        run = json.loads(path.read_text("utf-8"))
        former, made_with = run["settings"], dict(run["made_with"])
        begun_with = run.get("format", 1)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{NAME} must be what a training wrote; received {path}, which is damaged. "
            "Choose another output folder."
        ) from error
    if begun_with != FORMAT:
        raise ValueError(
            "Only a run begun by a version that computes the same can continue; "
            f"received {path.parent}, begun with format {begun_with} by keras_fpn "
            f"{made_with.get('keras_fpn', _ABSENT)}, where this version has format "
            f"{FORMAT}. Start again in another output folder, or continue with the "
            "version that began it."
        )
    different = list(_differences(former, settings))
    present = _made_with()
    others = [name for name in present if made_with.get(name) != present[name]]
    if others:  # versions may describe the same in other words
        described = [text for text in different if text.startswith(_DESCRIBED)]
        different = [text for text in different if text not in described]
        for text in described:
            print(f"Taken for a change of versions: {text}.", file=sys.stderr)
    if different:
        raise ValueError(
            "Only the same settings continue a run; received "
            f"{'; '.join(different)} in {path.parent}. Start with the run's own "
            "settings, or choose another output folder."
        )
    for name in others:
        print(
            f"The run in {path.parent} was begun with {name} "
            f"{made_with.get(name, _ABSENT)} and goes on with {present[name]}: its "
            "weights may differ from an uninterrupted run's.",
            file=sys.stderr,
        )


def _differences(former, present, name=""):
    """Yields a text for each value in which two settings differ."""
    if isinstance(former, dict) and isinstance(present, dict):
        for key in dict.fromkeys([*former, *present]):
            yield from _differences(
                former.get(key, _ABSENT),
                present.get(key, _ABSENT),
                f"{name}.{key}" if name else key,
            )
    elif former != present:
        yield f"{name}={present!r} where the run has {former!r}"


def _as_json(settings):
    """Returns the settings as they come back from a file."""
    try:
        return json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "A run's settings must be what JSON can hold: dicts with names, lists, "
            f"texts, finite numbers; received settings={settings!r}."
        ) from error


def _made_with():
    """Returns dict, name -> version, of what the numbers of a training depend on."""
    backend = keras.config.backend()
    version = getattr(sys.modules.get(backend), "__version__", "")
    return {
        "keras_fpn": sys.modules[_PACKAGE].__version__,
        "NumPy": np.__version__,
        "Pillow": PIL.__version__,
        "Keras": keras.__version__,
        "the backend": f"{backend} {version}",
    }
