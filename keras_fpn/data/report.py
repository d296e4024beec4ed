"""What the check of a data set found, as counts and text."""

import dataclasses
import warnings

from keras_fpn.data.statistics import Statistics

MAX_EXAMPLES = 3

# kind: (what is wrong, unit, what is done about it)
DEFECTS = {
    "missing_file": ("the file is missing", "photo", "left out"),
    "unreadable_photo": ("the file is not a readable image", "photo", "left out"),
    "other_size": ("the size differs from the annotations", "photo", "left out"),
    "unrotated": ("annotated without its EXIF rotation", "photo", "left out"),
    "repeated_image": ("listed twice, identically", "photo", "counted once"),
    "ambiguous_image_id": ("different files with one id", "photo", "left out"),
    "unreadable_file": ("cannot be read", "annotation file", "left out with its photo"),
    "not_annotated": ("listed, but without annotations", "photo", "left out"),
    "missing_labels": ("the label image is missing", "photo", "left out"),
    "bad_labels": (
        "the label image cannot be read, or has another size",
        "photo",
        "left out",
    ),
    "wrong_pixels": (
        "the pixels of the label image do not fit the annotations",
        "photo",
        "kept; it will stop or be skipped when it is used",
    ),
    "orphan_label": ("no photo with this name", "annotation file", "left out"),
    "unreadable_row": ("cannot be read", "row", "left out"),
    "unreadable_object": ("cannot be read", "annotation", "left out"),
    "unknown_image": ("the photo is not listed", "annotation", "left out"),
    "unknown_category": ("unknown category", "object", "left out"),
    "repeated_object": ("listed twice with one id", "object", "counted once"),
    "shared_id": ("shares the id of another object", "object", "kept"),
    "not_finite": ("the box contains NaN or infinity", "object", "left out"),
    "no_area": ("a box without area", "object", "left out"),
    "outside": ("a box wholly outside the photo", "object", "left out"),
    "partly_outside": ("a box partly outside the photo", "object", "clipped"),
    "bad_mask": ("a mask that cannot be read", "object", "kept, without its mask"),
    "bad_keypoints": (
        "keypoints that cannot be read",
        "object",
        "kept, without its keypoints",
    ),
}
# Worth knowing, but not wrong: `strict` ignores these.
NOTES = {
    "exif_rotation": (
        "EXIF rotation; annotations are taken as of the upright photo",
        "photo",
        "kept",
    ),
    "no_label_file": ("no label file", "photo", "kept, without objects"),
    "no_annotation": ("no annotation file", "photo", "not read"),
    "numbered_from_0": (
        "xmin or ymin is 0, but VOC counts from 1 (see numbered_from_1=False)",
        "object",
        "clipped",
    ),
    "repeated_photo": ("the same file with different ids", "photo", "kept"),
    "same_box": ("the same box and class as another", "object", "kept"),
    "unselected": ("its class was not selected", "object", "left out"),
}
_KINDS = DEFECTS | NOTES
_LONGEST = 240  # characters of an example in a line


@dataclasses.dataclass
class Report:
    """What a data set contains and what is wrong with it; `str` gives readable text.

    Args:
        name: str, of the data set.
        source: str, its format and path.
        statistics: Statistics of what was read; None until everything is read.
        counts: dict of kind (a key of DEFECTS or NOTES) -> int, number of findings.
        examples: dict of kind -> list of str, the first few.
    """

    name: str
    source: str
    statistics: Statistics | None = None
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def add(self, kind, example, count=1):
        """Counts a finding; `example` is a str that says where and what it is."""
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {list(_KINDS)}; received {kind=}.")
        self.counts[kind] = self.counts.get(kind, 0) + count
        examples = self.examples.setdefault(kind, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(example)

    @property
    def defects(self):
        """Returns dict of kind -> count, without the notes."""
        return {kind: self.counts[kind] for kind in DEFECTS if kind in self.counts}

    def summary(self):
        """Returns the defects in one line, str, each with its first example."""
        return "; ".join(
            f"{_headline(kind, count)} ({_shortened(self.examples[kind][0])})"
            for kind, count in self.defects.items()
        )

    def __repr__(self):
        found = sum(self.defects.values())
        defects = (
            f"{found} defect{'' if found == 1 else 's'}" if found else "no defects"
        )
        return f"<Report of {self.name!r}: {defects}; print it to read them>"

    def __str__(self):
        lines = [f"{self.name}: {self.source}"]
        if self.statistics is not None:
            lines += str(self.statistics).splitlines()
        lines += self._section("Defects", DEFECTS) or ["No defects."]
        lines += self._section("Notes", NOTES)
        return "\n".join(lines)

    def _section(self, title, kinds):
        """Returns lines: a title, and below it each kind found with its examples."""
        lines = []
        for kind in kinds:
            if kind not in self.counts:
                continue
            lines.append(f"  {_headline(kind, self.counts[kind])}")
            lines += [f"    {example}" for example in self.examples[kind]]
            more = self.counts[kind] - len(self.examples[kind])
            lines += [f"    and {more} more"] if more > 0 else []
        return [f"{title}:", *lines] if lines else []


def _shortened(example):
    """Returns a text without its middle if it is long, as with names of files."""
    if len(example) <= _LONGEST:
        return example
    half = _LONGEST // 2
    return f"{example[:half]} ... {example[-half:]}"


def warn_of_defects(report: Report):
    """Warns with everything that a report says, if there is a defect."""
    if report.defects:
        warnings.warn(f"The data set has defects. {report}", stacklevel=2)


def _headline(kind, count):
    """Returns one line: "2 objects: a box without area; left out"."""
    what, unit, action = _KINDS[kind]
    return f"{count} {unit}{'' if count == 1 else 's'}: {what}; {action}"
