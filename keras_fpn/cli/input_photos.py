"""The photos and videos that a command line names."""

import collections
import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path

from keras_fpn.cli.download import download, file_name, is_url
from keras_fpn.cli.errors import CommandError, one_line

SAMPLE = "coffee.jpg"
_SHOWN = frozenset(["cup", "spoon", "dining table"])  # in SAMPLE, of COCO's classes
# Animations, such as .gif, are photos: of these the first frame is read.
VIDEO_SUFFIXES = frozenset(
    ".3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts "
    ".webm .wmv".split()
)
_FOLDER = "folder"
_KINDS = 3  # of skipped files that are counted apart
_CLASSES = 5  # that a remark lists


@dataclasses.dataclass
class InputPhotos:
    """The photos and videos that a command line names, each once.

    Attributes:
        paths: list of Path, the photos.
        videos: list of Path; their suffixes are among `VIDEO_SUFFIXES`.
        names: dict of Path -> str, how one was named, if that is not its path.
        errors: dict of Path -> str, why the file of one is not there.
        skipped: what was in the folders and is not among the photos: "folder" or the
            suffix -> number.
    """

    paths: list[Path] = dataclasses.field(default_factory=list)
    videos: list[Path] = dataclasses.field(default_factory=list)
    names: dict[Path, str] = dataclasses.field(default_factory=dict)
    errors: dict[Path, str] = dataclasses.field(default_factory=dict)
    skipped: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )

    def name_of(self, path: Path):
        """Returns how a photo or video was named, str, with slashes."""
        return self.names.get(path, path.as_posix())

    def skipped_text(self):
        """Returns what was skipped as text, "3 .heic, 1 folder"; empty if nothing."""
        return f"skipped: {_listed(self.skipped)}" if self.skipped else ""


def _listed(counts):
    """Returns "3 .heic, 1 folder (--recursive takes folders)", of a Counter."""
    shown = counts.most_common(_KINDS)
    texts = [
        f"{n} {kind}{'s' if kind == _FOLDER and n != 1 else ''}" for kind, n in shown
    ]
    more = counts.total() - sum(n for _, n in shown)
    texts += [f"{more} other{'' if more == 1 else 's'}"] if more else []
    hint = " (--recursive takes folders)" if _FOLDER in counts else ""
    return ", ".join(texts) + hint


def is_video(path) -> bool:
    """Returns whether a file or an address, str or Path, has the suffix of a video."""
    name = file_name(path) if is_url(path) else path
    return Path(name).suffix.lower() in VIDEO_SUFFIXES


def check_named(paths):
    """Checks, without reading anything, that files and folders exist.

    Raises:
        CommandError: one does not.
    """
    for path in paths:
        if not is_url(path) and not os.path.exists(path):
            camera = f" For a camera: --webcam {path}." if str(path).isdecimal() else ""
            raise CommandError(
                "A photo or video must be an existing file or folder, or an address "
                f"that begins with http:// or https://; received {str(path)!r}, which "
                f"does not exist.{camera}"
            )


@contextlib.contextmanager
def input_photos(named, recursive: bool = False, without: Path | None = None):
    """Yields the `InputPhotos` that files, folders and addresses name.

    Files are taken whatever their name; the suffix tells a video from a photo. Of a
    folder, the files with the suffix of an image are taken, sorted by name, without
    hidden ones, and no videos, which would take much longer. What an address names is
    kept in a temporary folder while the context lasts.

    Args:
        named: list of str or Path.
        recursive: whether the folders in a folder, except hidden ones, are taken too.
        without: folder that is never taken as one in a folder.

    Raises:
        CommandError: there is no such file, or a folder holds no image file.
    """
    check_named(named)
    found, seen = InputPhotos(), set()
    with tempfile.TemporaryDirectory(prefix="keras_fpn-") as temporary:
        for number, one in enumerate(named):
            if is_url(one):
                paths = [_downloaded(str(one), Path(temporary, str(number)), found)]
            elif Path(one).is_dir():
                paths, skipped = _in_folder(Path(one), recursive, without)
                found.skipped += skipped
            else:
                paths = [Path(one)]
            for path in paths:
                key = found.names.get(path, path.resolve())
                if key not in seen:
                    seen.add(key)
                    (found.videos if is_video(path) else found.paths).append(path)
        yield found


def _downloaded(url, folder, found):
    """Returns the Path of a downloaded photo; notes its name, or why there is none."""
    folder.mkdir()
    path = folder / file_name(url)
    found.names[path] = url
    try:
        download(url, path)
    except OSError as error:
        found.errors[path] = one_line(error)
    return path


def _in_folder(folder, recursive, without):
    """Returns the photos in a folder, list of Path; and a Counter of what is left."""
    from keras_fpn.data.image_files import PHOTO_SUFFIXES, is_photo

    output = without and without.resolve()
    photos, skipped = [], collections.Counter()
    for root, folders, names in os.walk(folder):
        visible = sorted(name for name in folders if not name.startswith("."))
        inner = [n for n in visible if Path(root, n).resolve() != output]
        if not recursive:
            skipped.update([_FOLDER] * len(inner))
            inner = []
        folders[:] = inner
        for name in sorted(names):
            path = Path(root, name)
            if is_photo(name) and path.is_file():
                photos.append(path)
            elif not name.startswith("."):
                skipped[path.suffix.lower() or "without a suffix"] += 1
    if not photos:
        raise CommandError(
            "A folder must hold image files, which end in "
            f"{', '.join(sorted(PHOTO_SUFFIXES))}; received {str(folder)!r}, which "
            f"holds {_listed(skipped) or 'nothing'}.{_how_videos_are_named(skipped)}"
        )
    return photos, skipped


def _how_videos_are_named(skipped):
    """Returns a sentence if there are videos among these suffixes, or ""."""
    if VIDEO_SUFFIXES.isdisjoint(skipped):
        return ""
    return " Videos must be named one by one, as by folder/*.mp4."


def sample_photo(preset: str | None = None):
    """Returns the Path of a picture that comes with the package.

    Args:
        preset: name of a preset that is to find something in it, or None.
    """
    from keras_fpn.weights import SHIPPED

    shipped = SHIPPED.get(preset or "")
    name = shipped.sample if shipped and shipped.sample else SAMPLE
    return Path(__file__).resolve().parents[1] / "samples" / name


def unsuited_sample(path: Path, model):
    """Returns a remark if a detector knows nothing that a sample photo shows, or "".

    Args:
        path: what `sample_photo` returned.
        model: detector. One without classes finds whatever there is.
    """
    names = model.class_names
    if path.name != SAMPLE or model.class_agnostic or _SHOWN.intersection(names):
        return ""
    listed = ", ".join(names[:_CLASSES]) + (", ..." if len(names) > _CLASSES else "")
    return (
        f"The sample photo, a cup of coffee, shows nothing that this detector knows "
        f"({listed}): whatever it finds is wrong. Name a photo of your own."
    )
