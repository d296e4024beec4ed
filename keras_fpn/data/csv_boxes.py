"""CSV files of boxes, one per row, as keras-retinanet and others write them."""

import csv
import io
import os
import pathlib
from collections.abc import Callable

from keras_fpn.data.check import checked
from keras_fpn.data.dataset import Dataset
from keras_fpn.data.image_files import is_photo, relative_path, resolved
from keras_fpn.data.listing import ListedObject, ListedPhoto, Listing
from keras_fpn.data.report import Report, warn_of_defects
from keras_fpn.data.split_names import spellings
from keras_fpn.data.statistics import count_extras
from keras_fpn.data.text_files import ClassNames, class_list, read_text, shortest_text
from keras_fpn.files import PathLike, write_text

_FOLDERS = ("annotations", "data")  # in which a CSV may be, beside images/
_MOST_FOLDERS = 200  # below these, in which photos are looked for
_CLASSES_FILES = ("classes.csv", "_classes.csv")
COLUMNS = ("path", "x1", "y1", "x2", "y2", "class_name")
_OTHER_NAMES = {
    "path": "image_path img_path filepath file_path filename file_name image img file",
    "x1": "xmin x_min left",
    "y1": "ymin y_min top",
    "x2": "xmax x_max right",
    "y2": "ymax y_max bottom",
    "class_name": "class label name category category_name",
}
_COLUMN_OF = {
    name: column
    for column, others in _OTHER_NAMES.items()
    for name in (column, *others.split())
}


def read_csv(
    path: PathLike,
    images: PathLike | None = None,
    class_names: ClassNames = None,
    strict: bool = False,
    report: Callable | None = warn_of_defects,
) -> Dataset:
    """Reads a CSV of boxes and checks it.

    A row is "path,x1,y1,x2,y2,class_name"; a header in the first line may name these
    in any order, among other columns. A photo without objects has one row with only
    the path: "path,,,,,". Boxes are continuous pixels: x2 is the right edge.

    Args:
        path: str or Path of the file.
        images: str or Path of the folder that the paths in it are relative to; None
            for the one in which most paths exist: the folder of the file, images/ in
            it, or beside it if it is called annotations or data, or one directly below.
        class_names: list of str, the classes in the order of their labels; or a path,
            see `class_list`, such as keras-retinanet's file of "name,number"; None for
            such a classes.csv beside the file, otherwise those in it, sorted by name.
        strict: bool, whether any defect raises.
        report: callable that gets the Report; by default defects are a UserWarning.

    Returns:
        Dataset, its category ids 1, 2, ...; image ids as `image_ids` makes them.

    Raises:
        ValueError: the file is missing, its columns are others or in another order, or
            what `checked` refuses.
    """
    path = pathlib.Path(path)
    rows = _rows(path)
    _check_columns(rows, path)
    found = Report(path.stem, f"CSV, {path}")
    if class_names is None:
        class_names = _classes_file(path.parent)
    names = class_list(class_names) or _class_names(rows, path)
    folder = _image_folder(rows, path) if images is None else pathlib.Path(images)
    paths = dict.fromkeys(row.path for row in rows if row.path)
    photos = {path: ListedPhoto(resolved(folder, path)) for path in paths}
    labels = {name: label for label, name in enumerate(names)}
    for row in rows:
        if row.path:
            _add_object(row, photos[row.path], labels, found)
        else:
            found.add("unreadable_row", f"line {row.number}: {row.text[:60]}")
    return checked(Listing(found, names, list(photos.values())), strict, report)


def write_csv(dataset: Dataset, path: PathLike) -> dict[str, int]:
    """Writes a data set's boxes as a CSV without header, as keras-retinanet reads it.

    Paths are relative to the file. Crowd regions are left out, because a row would
    turn one into a single object.

    Args:
        dataset: Dataset.
        path: str or Path of the file; parent folders are created.

    Returns:
        dict of str -> int: what was not written -> how often it occurred.
    """
    path = pathlib.Path(path)
    rows = []
    for photo in dataset.photos:
        name = relative_path(photo.path, path.parent)
        objects = photo.objects[~photo.objects.is_crowd]
        for box, label in zip(objects.boxes, objects.labels, strict=True):
            numbers = [shortest_text(number) for number in box]
            rows.append([name, *numbers, dataset.class_names[label]])
        if len(objects) == 0:
            rows.append([name, "", "", "", "", ""])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())
    return count_extras(dataset)


def find_csv(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the CSVs of boxes in a folder and annotations/ or data/ in it, sorted."""
    places = folder, *(folder / name for name in _FOLDERS)
    files = [file for place in places for file in sorted(place.glob("*.csv"))]
    return [file for file in files if is_box_csv(file)]


def is_box_csv(path):
    """Returns whether the first row of a CSV is a box, or a header of boxes."""
    try:
        return not _rows(path)[0].fault
    except ValueError:
        return False


class _Row:
    """What a row has in each of `COLUMNS`, str without spaces around it.

    Args:
        number: int, its line in the file.
        fields: list of str, all that is in it.
        columns: dict of column name -> int, index in the row.

    `fault` is why its box cannot be read, str; "" if it can, or if there is none.
    """

    def __init__(self, number, fields, columns):
        self.number, self.text = number, ",".join(fields)
        held = {n: fields[i].strip() for n, i in columns.items() if i < len(fields)}
        self.path, self.class_name = held.get("path", ""), held.get("class_name", "")
        self.corners = {name: held.get(name, "") for name in COLUMNS[1:5]}
        self.fault = f"with {len(fields)} columns"
        if len(held) == len(COLUMNS):
            self.fault = self._fault()

    def _fault(self):
        if not any(self.corners.values()):
            return "with a class but no box" if self.class_name else ""
        for column, text in self.corners.items():
            try:
                float(text)
            except ValueError:
                return f"where {column} is {text!r}"
        return "" if self.class_name else "where class_name is ''"


def _rows(path):
    """Returns the rows without the header and empty lines, list of `_Row`."""
    reader = csv.reader(io.StringIO(read_text(path)), skipinitialspace=True)
    rows = []
    try:
        for row in reader:
            if any(field.strip() for field in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise ValueError(
            f"A CSV of boxes must be readable as CSV; received path={str(path)!r}, "
            f"line {reader.line_num}: {error}."
        ) from error
    if not rows:
        raise ValueError(
            f"A CSV of boxes must have rows; received path={str(path)!r}, empty."
        )
    first, columns = rows[0][1], {name: i for i, name in enumerate(COLUMNS)}
    names = [_COLUMN_OF.get(field.strip().lower()) for field in first]
    if {"path", "x1"} <= set(names) or len(set(names) - {None}) >= 4:
        missing = [column for column in COLUMNS if names.count(column) != 1]
        if missing:
            raise ValueError(
                f"A CSV's header must name {', '.join(COLUMNS)} once each; received "
                f"{','.join(first)!r} in path={str(path)!r}, without or with several "
                f"of {missing}."
            )
        if len(rows) == 1:
            raise ValueError(
                "A CSV of boxes must have rows; received path="
                f"{str(path)!r}, with only a header."
            )
        columns = {column: names.index(column) for column in COLUMNS}
        rows = rows[1:]
    elif len(first) != len(COLUMNS):
        remedy = "Add a header that names them."
        if len(first) == 1 and (";" in first[0] or "\t" in first[0]):
            remedy = "Separate them by commas."
        raise ValueError(
            f"A CSV's columns must be {', '.join(COLUMNS)}; received "
            f"{','.join(first)[:80]!r} in the first line of path={str(path)!r}: "
            f"{len(first)} columns and no known header. {remedy}"
        )
    return [_Row(*row, columns) for row in rows]


def _check_columns(rows, path):
    """Raises if most rows hold something else in these columns."""
    wrong = [row for row in rows if row.fault]
    if len(wrong) * 2 > len(rows):
        first = wrong[0]
        raise ValueError(
            f"A CSV's columns must be {', '.join(COLUMNS)}; received "
            f"{first.text[:80]!r} in line {first.number} of path={str(path)!r}, "
            f"{first.fault}, and {len(wrong)} of {len(rows)} rows like it. Are "
            "the columns swapped? A header may name them in any order."
        )
    swapped = [row for row in rows if is_photo(row.class_name)]
    if swapped and not any(is_photo(row.path) for row in rows):
        first = swapped[0]
        raise ValueError(
            f"A CSV's columns must be {', '.join(COLUMNS)}; received path={str(path)!r}"
            f" with {first.path!r} as path and {first.class_name!r} as class_name. Are "
            "the two columns swapped?"
        )


def _classes_file(folder):
    """Returns keras-retinanet's file of "name,number" in a folder, or None."""
    for name in _CLASSES_FILES:
        if (folder / name).is_file():
            rows = csv.reader(read_text(folder / name).splitlines())
            filled = [row for row in rows if row]
            if filled and all(len(r) == 2 and r[1].strip().isdigit() for r in filled):
                return folder / name
    return None


def _class_names(rows, path):
    """Returns the names of all classes in the file, sorted tuple of str."""
    names = {row.class_name for row in rows} - {""}
    if not names:
        raise ValueError(
            "A CSV without boxes must be read with the names of its classes; received "
            f"path={str(path)!r}, whose class_name is always empty. Pass `class_names`."
        )
    return tuple(sorted(names))


def _image_folder(rows, path):
    """Returns the folder, of the usual ones, in which most of the first paths exist."""
    names = [row.path for row in rows[:: max(1, len(rows) // 20)]]
    tops = [path.parent, path.parent / "images"]
    if path.parent.name in _FOLDERS:
        tops += [path.parent.parent / "images", path.parent.parent]
    below = [folder for top in tops for folder in _folders_in(top)]
    # Those named as the file first: train_labels.csv belongs to images/train.
    named = spellings(path.stem)
    below.sort(key=lambda folder: folder.name.lower() not in named)
    best, most = path.parent, 0
    for folder in [*tops, *below[:_MOST_FOLDERS]]:
        hits = sum(os.path.isfile(resolved(folder, name)) for name in names)
        if hits > most:
            best, most = folder, hits
        if hits == len(names):
            break
    return best


def _folders_in(folder):
    """Returns the folders in a folder, sorted list of Path."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [folder / name for name in sorted(e.name for e in entries if e.is_dir())]


def _add_object(row, photo, labels, found):
    """Adds a row's object to its photo, or counts what is wrong with it."""
    name = row.class_name
    where = f"line {row.number} ({name}) of {photo.path.name}"
    if row.fault:
        found.add("unreadable_row", f"line {row.number}, {row.fault}: {row.text[:60]}")
    elif name and name not in labels:
        found.add("unknown_category", where)
    elif name:
        box = tuple(map(float, row.corners.values()))
        photo.objects.append(ListedObject(box, labels[name], where))
