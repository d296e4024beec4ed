"""The detectors that the study trains, each with the numbers of its paper."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from keras_fpn.backbones import resnet18
from keras_fpn.layers import Proposals, TwoFCBoxHead
from keras_fpn.models import paper_row
from keras_fpn.preprocessing import Preprocessing
from keras_fpn.sampler import Sample

SIDE = 256  # of the scenes, pixels
_CHANNELS, _HEAD_CHANNELS = 64, 128
# Half of the paper's, because scenes are small.
_ANCHOR_SIZES = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Row:
    """A detector of the study.

    Attributes:
        key: str, name of its files.
        table: str, title of the table in which it stands.
        title: str.
        build: function (class_names, category_ids) -> detector with random weights.
        numbers: names of the measured numbers in the table.
        paper: dict of name -> the paper's number, in %.
    """

    key: str
    table: str
    title: str
    build: Callable[[list[str], list[int]], Any]
    numbers: tuple[str, ...]
    paper: dict[str, float] = field(default_factory=dict)


def _parts():
    """Returns the parts that all rows share: small ones, with group norms."""
    return {
        "backbone": resnet18(norm="group", channels=24),
        "channels": _CHANNELS,
        "norm": "group",
        "anchor_sizes": _ANCHOR_SIZES,
        "preprocessing": Preprocessing(min_size=SIDE, max_size=SIDE),
    }


def _proposer(row, class_names, category_ids):
    """Returns the detector of a row of Table 1; it ignores the classes."""
    return paper_row(1, row, **_parts())


def _two_stage(table, row, class_names, category_ids, **own):
    parts = {
        "proposals": Proposals(1000, 300, 1000, 500, name="proposals"),
        "roi_sample": Sample(128, 0.25),
        "class_names": class_names,
        "category_ids": category_ids,
        **own,
    }
    if (table, row) != (3, "a"):
        parts["box_head"] = TwoFCBoxHead(_HEAD_CHANNELS, name="box_head")
    return paper_row(table, row, **_parts(), **parts)


_TITLES = {
    "a": "C4 alone",
    "b": "C5 alone",
    "c": "feature pyramid (FPN)",
    "d": "no top-down pathway",
    "e": "no lateral connections",
    "f": "finest map (P2) alone",
}
_TABLE_1 = "Table 1: region proposals"
_RECALLS = ("AR100", "AR1000", "AR1000_small", "AR1000_medium", "AR1000_large")
# Lin et al. 2017 (arXiv:1612.03144), Table 1: ResNet-50, COCO minival.
_PAPER_1 = {
    "a": (36.1, 48.3, 32.0, 58.7, 62.2),
    "b": (36.3, 44.9, 25.3, 55.5, 64.2),
    "c": (44.0, 56.3, 44.9, 63.4, 66.2),
    "d": (37.4, 49.5, 30.5, 59.9, 68.0),
    "e": (34.5, 46.1, 26.5, 57.4, 64.7),
    "f": (38.4, 51.3, 35.1, 59.7, 67.6),
}
_TABLE_3 = "Table 3: Faster R-CNN"
_PRECISIONS = ("AP50", "AP", "AP_small", "AP_medium", "AP_large")
# The same, Table 3.
_PAPER_3 = {
    "a": (53.1, 31.6, 13.2, 35.6, 47.1),
    "b": (51.7, 28.0, 9.6, 31.9, 43.1),
    "c": (56.9, 33.9, 17.8, 37.7, 45.8),
}


def all_rows():
    """Returns the rows of the study, dict of key -> `Row`, in order."""
    rows = [
        Row(
            f"1{row}",
            _TABLE_1,
            _TITLES[row],
            partial(_proposer, row),
            _RECALLS,
            dict(zip(_RECALLS, paper, strict=True)),
        )
        for row, paper in _PAPER_1.items()
    ]
    rows += [
        Row(
            f"3{row}",
            _TABLE_3,
            _TITLES[row] + (", conv5 head" if row == "a" else ""),
            partial(_two_stage, 3, row),
            _PRECISIONS,
            dict(zip(_PRECISIONS, paper, strict=True)),
        )
        for row, paper in _PAPER_3.items()
    ]
    return {row.key: row for row in rows}
