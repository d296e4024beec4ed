"""The detectors that the study trains, and the tables in which they stand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from keras_fpn.layers import (
    FeaturePyramid,
    Proposals,
    SegmentHead,
    SegmentWindows,
    TwoFCBoxHead,
    fapn,
)
from keras_fpn.models import paper_row, segment_proposals_fpn
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.sampler import Sample

SIDE = 192  # of the scenes, pixels
_CHANNELS, _HEAD_CHANNELS = 64, 128
# Half of the paper's, because scenes are small.
_ANCHOR_SIZES = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Row:
    """A detector of the study.

    Attributes:
        title: str.
        build: function (backbone, class_names, category_ids) -> detector whose other
            weights are random.
        given: key of the row whose proposals this one takes; None, it takes none.
    """

    title: str
    build: Callable[[Any, list[str], list[int]], Any]
    given: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        stem: str, beginning of the names of its pictures.
        title: str.
        note: str, below the title.
        numbers: names of the measured numbers.
        scaled: name of the number whose values by scale are drawn.
        rows: dict of key of a row -> the paper's numbers, in %, in the same order; None
            where it has none.
    """

    stem: str
    title: str
    note: str
    numbers: tuple[str, ...]
    scaled: str
    rows: dict[str, tuple[float, ...] | None]


_PREPROCESSING = Preprocessing(min_size=SIDE, max_size=SIDE)


def _paper_row(table, row, backbone, **parts):
    return paper_row(
        table,
        row,
        backbone,
        channels=_CHANNELS,
        norm="group",
        anchor_sizes=_ANCHOR_SIZES,
        preprocessing=_PREPROCESSING,
        **parts,
    )


def _proposer(row, backbone, class_names, category_ids):
    """Returns the detector of a row of Table 1; it ignores the classes."""
    return _paper_row(1, row, backbone)


def _with_box_head(table, row, backbone, class_names, category_ids, **parts):
    """Returns the detector of a row of Table 2 or 3."""
    parts |= {"class_names": class_names, "category_ids": category_ids}
    parts["roi_sample"] = Sample(128, 0.25)
    if table == 3:
        parts["proposals"] = Proposals(1000, 300, 1000, 500, name="proposals")
    if row != "a":
        parts["box_head"] = TwoFCBoxHead(_HEAD_CHANNELS, name="box_head")
    return _paper_row(table, row, backbone, **parts)


def _fapn(channels=_CHANNELS):
    return fapn(channels, norm="group", name="neck")


def _faster_rcnn_on_fapn(backbone, class_names, category_ids):
    return _with_box_head(3, "c", backbone, class_names, category_ids, neck=_fapn())


def _segments(neck, backbone, class_names, category_ids):
    """Returns segmentation proposals; they ignore the classes."""
    return segment_proposals_fpn(
        backbone,
        preprocessing=_PREPROCESSING,
        neck=neck(),
        segment_windows=SegmentWindows(cells=4.0, name="segment_windows"),
        segment_head=SegmentHead(channels=_HEAD_CHANNELS, name="segment_head"),
    )


def _fpn():
    return FeaturePyramid(_CHANNELS, norm="group", name="neck")


_TITLES = {
    "a": "C4 alone",
    "b": "C5 alone",
    "c": "feature pyramid (FPN)",
    "d": "no top-down pathway",
    "e": "no lateral connections",
    "f": "finest map (P2) alone",
}


def all_rows():
    """Returns the rows of the study, dict of key -> `Row`, in order of training."""
    rows = {f"1{row}": Row(t, partial(_proposer, row)) for row, t in _TITLES.items()}
    for table, letters in ((2, "abcdef"), (3, "abc")):
        for row in letters:
            title = _TITLES[row] + (", conv5 head" if row == "a" else "")
            build = partial(_with_box_head, table, row)
            rows[f"{table}{row}"] = Row(title, build, "1c" if table == 2 else None)
    rows["fapn"] = Row("FaPN", _faster_rcnn_on_fapn)
    rows["segments-fpn"] = Row("feature pyramid (FPN)", partial(_segments, _fpn))
    rows["segments-fapn"] = Row("FaPN", partial(_segments, _fapn))
    return rows


_RECALLS = ("AR100", "AR1000", "AR1000_small", "AR1000_medium", "AR1000_large")
_PRECISIONS = ("AP50", "AP", "AP_small", "AP_medium", "AP_large")
_STRICT = ("AP", "AP@0.75", "AP@0.80", "AP@0.85", "AP@0.90", "AP@0.95")

# The paper's numbers: Lin et al. 2017 (arXiv:1612.03144), ResNet-50 on COCO minival.
TABLES = (
    Table(
        "1",
        "Table 1: region proposals",
        "Average recall of 100 and 1000 proposals.",
        _RECALLS,
        "AR1000",
        {
            "1a": (36.1, 48.3, 32.0, 58.7, 62.2),
            "1b": (36.3, 44.9, 25.3, 55.5, 64.2),
            "1c": (44.0, 56.3, 44.9, 63.4, 66.2),
            "1d": (37.4, 49.5, 30.5, 59.9, 68.0),
            "1e": (34.5, 46.1, 26.5, 57.4, 64.7),
            "1f": (38.4, 51.3, 35.1, 59.7, 67.6),
        },
    ),
    Table(
        "2",
        "Table 2: Fast R-CNN on fixed proposals",
        "All rows get the proposals of the feature pyramid in Table 1.",
        _PRECISIONS,
        "AP",
        {
            "2a": (54.7, 31.9, 15.7, 36.5, 45.5),
            "2b": (52.9, 28.8, 11.9, 32.4, 43.4),
            "2c": (56.9, 33.9, 17.8, 37.7, 45.8),
            "2d": (44.9, 24.9, 10.9, 24.4, 38.5),
            "2e": (54.0, 31.3, 13.3, 35.2, 45.3),
            "2f": (56.3, 33.4, 17.3, 37.3, 45.6),
        },
    ),
    Table(
        "3",
        "Table 3: Faster R-CNN",
        "Proposals and boxes from the same maps.",
        _PRECISIONS,
        "AP",
        {
            "3a": (53.1, 31.6, 13.2, 35.6, 47.1),
            "3b": (51.7, 28.0, 9.6, 31.9, 43.1),
            "3c": (56.9, 33.9, 17.8, 37.7, 45.8),
        },
    ),
    Table(
        "fapn",
        "FaPN against FPN: Faster R-CNN",
        "AP at strict IoU thresholds, where boxes must follow objects exactly. FaPN's "
        "own page states 39.2 AP for ResNet-50 on COCO, where FPN has 37.9.",
        _STRICT,
        "AP",
        {"3c": None, "fapn": None},
    ),
    Table(
        "segments",
        "FaPN against FPN: segmentation proposals",
        "Average recall of masks; mean boundary IoU of each object's best mask.",
        (*_RECALLS, "boundary_iou"),
        "AR1000",
        {"segments-fpn": None, "segments-fapn": None},
    ),
)
