"""What a path holds: data sets in known formats, and their splits."""

import dataclasses
import difflib
import os
import pathlib

from keras_fpn.data.formats import FORMATS, KNOWN, Format
from keras_fpn.data.split_names import USUAL_SPLITS, of_split, usual_split, usual_splits
from keras_fpn.files import similar_path

_MOST_FOLDERS = 100  # in which a data set is looked for, to suggest it
_MOST_SUGGESTED = 3


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set in one format, or one split that has files of its own.

    Args:
        format: Format.
        path: Path that its reader takes.
        split: str, the name of the file or folder, if it is one of several splits or
            may be one; None if the splits, if any, are within.
        title: str, the name of the data set if the path has a poor one; or None.
    """

    format: Format
    path: pathlib.Path
    split: str | None = None
    title: str | None = None

    @property
    def splits(self) -> list[str]:
        """The names of its splits; none if it has lists or folders of other kinds."""
        if self.split is not None:
            return [self.split]
        names = [] if self.format.splits is None else self.format.splits(self.path)
        return names if usual_splits(names) else []

    def __str__(self):
        return f"{self.format.name}: {self.path}"


class Layout:
    """The data sets that a path holds.

    Args:
        path: Path of a file or folder.

    Raises:
        ValueError: the path is missing, or of no known format.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.sources = _sources(path)
        if not self.sources:
            none = ", a folder which holds none of them" if path.is_dir() else ""
            raise ValueError(
                f"A data set must be {KNOWN}; received path={str(path)!r}{none}."
                f"{_meant(path)}"
            )

    @property
    def names(self) -> list[str]:
        """The names of all splits, as files, folders or lists have them."""
        return [name for source in self.sources for name in source.splits]

    def chosen(self, split: str | None) -> tuple[Source, str | None]:
        """Returns the Source of a split, and the split that its reader takes.

        Args:
            split: str; None for all.

        Raises:
            ValueError: there is none, or there are several.
        """
        found = self.sources if split is None else self._of_split(split)
        if len(found) > 1:
            listed = [str(source) for source in found]
            raise ValueError(
                f"A folder must hold one data set; received path={str(self.path)!r} "
                f"with {listed}. Pass the file, or `split`.{self._splits_text()}"
            )
        source = found[0]
        if split is None or source.split is not None:
            return source, None
        names = source.format.splits(source.path)
        return source, (of_split(names, split) or [split])[0]

    def _of_split(self, split):
        """Returns the sources that a split may mean."""
        whole = [source for source in self.sources if source.split is None]
        found = [source for source in whole if source.format.splits is not None]
        named = of_split([s.split for s in self.sources if s.split is not None], split)
        found += [source for source in self.sources if source.split in named]
        if found:
            return found
        if len(whole) == len(self.sources) == 1:
            raise ValueError(
                "`split` must be left out for a data set that is one split; received "
                f"split={split!r}, path={str(self.path)!r}."
            )
        listed = [str(source) for source in self.sources]
        close = difflib.get_close_matches(split, [*self.names, *USUAL_SPLITS], 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            "`split` must be part of the name of a file or folder; received "
            f"split={split!r}, path={str(self.path)!r} with {listed}.{hint}"
        )

    def _splits_text(self):
        known = usual_splits(self.names)
        return f" Its splits: {', '.join(known)}." if known else ""


def _sources(path):
    """Returns the data sets that a path holds, list of Source."""
    if not path.exists():
        raise ValueError(
            f"A data set must exist; received {str(path)!r}, which does not exist."
            f"{similar_path(path)}"
        )
    if not path.is_dir():
        formats = [one for one in FORMATS if one.is_file(path)]
        return [Source(one, path) for one in formats[:1]]
    return _within(path) or _split_folders(path)


def _within(folder, title=None):
    """Returns the data sets whose files are in a folder itself."""
    found = []
    for one in FORMATS:
        for path in one.in_folder(folder):
            own = one.splits(path) if one.splits is not None else []
            name = None if path.is_dir() or own else path.stem
            found.append(Source(one, path, name, title))
    return found


def _split_folders(folder):
    """Returns the data sets in folders called train, valid, test, and beside these."""
    below = _folders_in(folder)
    if not any(usual_split(one.name) for one in below):
        return []
    return [
        dataclasses.replace(source, split=one.name)
        for one in below
        for source in _within(one, f"{folder.resolve().name}/{one.name}")
    ]


def _meant(path):
    """Returns " Did you mean ...?" with data sets near a path, or ""."""
    near = []
    if not path.is_dir():
        home = path.parent
        if home.name.lower() == "annotations":  # of Pascal VOC: not alone a data set
            home = home.parent
        near = [home] if _within(home) else []
    level = [path] if path.is_dir() else []
    for _ in range(2):  # levels below
        level = [one for above in level for one in _folders_in(above)][:_MOST_FOLDERS]
        near = near or [one for one in level if _within(one) or _split_folders(one)]
    if not near and path.is_dir():  # such as JPEGImages
        home = path.parent if path.name else pathlib.Path(os.path.realpath(path)).parent
        near = [home] if _within(home) else []
    shown = " or ".join(map(str, near[:_MOST_SUGGESTED]))
    return f" Did you mean {shown}?" if near else ""


def _folders_in(path):
    """Returns the folders in a folder that are not hidden, sorted list of Path."""
    with os.scandir(path) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and e.name[0] != ".")
    return [path / name for name in names]
