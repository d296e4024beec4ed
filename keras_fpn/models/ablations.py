"""The rows of the FPN paper's ablations, each a detector made of parts.

Source: Lin et al. 2017 (arXiv:1612.03144), Tables 1 to 3 and Fig. 2.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_fpn import backbones
from keras_fpn.backbones.split import split_backbone
from keras_fpn.layers import (
    FeaturePyramid,
    MultiLevelAnchors,
    NoTopDown,
    Proposals,
    PyramidRoIAlign,
    SingleMap,
    StageBoxHead,
    TopDownWithoutLateral,
)
from keras_fpn.models.fast_rcnn import fast_rcnn_fpn
from keras_fpn.models.faster_rcnn import faster_rcnn_fpn
from keras_fpn.models.rpn import rpn_fpn
from keras_fpn.weights import load_imagenet

ANCHOR_SIZES = (32, 64, 128, 256, 512)  # Sec. 4.1, on P2 to P6
_PYRAMID = ("P2", "P3", "P4", "P5", "P6")


def _single_map(level, channels, norm, sizes):
    """Returns the parts for one map of the backbone, with anchors of all sizes."""
    neck = SingleMap(f"C{level}", name="neck")
    return {"neck": neck, **_all_anchors_on(f"P{level}", sizes)}


def _finest_map(channels, norm, sizes):
    """Returns the parts for the finest merged map, with anchors of all sizes."""
    neck = FeaturePyramid(channels, norm, levels=("P2",), name="neck")
    return {"neck": neck, **_all_anchors_on("P2", sizes)}


def _all_anchors_on(level, sizes):
    return {
        "coarse_level": keras.layers.Identity(name="coarse_level"),
        "anchors": MultiLevelAnchors({level: sizes}, name="anchors"),
        # As detectron2's models of C4: one level has as many candidates as several.
        "proposals": Proposals(6000, 1000, 12000, 2000, name="proposals"),
    }


def _pyramid(neck, channels, norm, sizes):
    """Returns the parts for a neck with levels P2 to P5, one anchor size on each."""
    sizes = {name: (size,) for name, size in zip(_PYRAMID, sizes, strict=True)}
    return {
        "neck": neck(channels, norm, name="neck"),
        "anchors": MultiLevelAnchors(sizes, name="anchors"),
    }


_bottom_up_only = partial(FeaturePyramid, merge=NoTopDown())

# How each row uses the backbone's maps.
_MAPS: dict[str, Callable[..., dict[str, Any]]] = {
    "a": partial(_single_map, 4),
    "b": partial(_single_map, 5),
    "c": partial(_pyramid, FeaturePyramid),
    "d": partial(_pyramid, _bottom_up_only),
    "e": partial(_pyramid, TopDownWithoutLateral),
    "f": _finest_map,
}
# The builder of each table, and the row of `_MAPS` for each of its rows.
_TABLES: dict[int | str, tuple[Callable[..., Any], dict[str, str]]] = {
    1: (rpn_fpn, {row: row for row in "abcdef"}),
    2: (fast_rcnn_fpn, {row: row for row in "abcdef"}),
    3: (faster_rcnn_fpn, {row: row for row in "abc"}),
    "figure 2": (faster_rcnn_fpn, {"top": "f", "bottom": "c"}),
}


def paper_rows():
    """Returns the names of all rows, list of (table, row) for `paper_row`."""
    return [(table, row) for table, (_, rows) in _TABLES.items() for row in rows]


def paper_row(
    table: int | str,
    row: str,
    backbone: keras.Model | str = "resnet50",
    weights: str | Path | None = None,
    *,
    channels: int = 256,
    norm: str | None = None,
    anchor_sizes: Sequence[float] = ANCHOR_SIZES,
    **arguments,
):
    """Builds the detector of one row of the FPN paper's Tables 1 to 3.

    | row | maps that the heads read |
    |-----|--------------------------|
    | a   | C4 alone                 |
    | b   | C5 alone                 |
    | c   | the feature pyramid      |
    | d   | the feature pyramid without the top-down pathway |
    | e   | the feature pyramid without lateral connections  |
    | f   | P2 alone, the finest map of the feature pyramid  |

    On a single map there are anchors of all sizes, and more of the best candidates
    enter non-maximum suppression. Table 1 is of region proposal
    networks, rows a to f; Table 2 of Fast R-CNN on the proposals of row c of Table 1,
    rows a to f; Table 3 of Faster R-CNN, rows a to c. In row a of Tables 2 and 3, the
    backbone's last stage is the box head, on RoI features of 14x14 cells. The
    table "figure 2" is of Faster R-CNN, rows "top" (one prediction on the finest map)
    and "bottom" (on every map).

    Source: Lin et al. 2017 (arXiv:1612.03144), Tables 1 to 3 and Fig. 2. The RPN head
    has as many channels as the map that it reads: in rows a and b those of C4 or C5, as
    in detectron2's models of C4. RoIs are aligned (RoIAlign) instead of pooled.

    Example:
        model = keras_fpn.models.paper_row(1, "d", weights="imagenet")

    Args:
        table: 1, 2, 3 or "figure 2".
        row: a letter of that table.
        backbone: as in `faster_rcnn_fpn`, with the levels C2 to C5.
        weights: None for random weights, "imagenet" for the backbone, or a file of this
            row's model.
        channels: int, channels of the pyramid; not read by rows a and b.
        norm: as in `FeaturePyramid`; not read by rows a and b.
        anchor_sizes: 5 floats, pixels, finest level first.
        **arguments: further arguments of `rpn_fpn` (Table 1), `fast_rcnn_fpn` (Table 2)
            or `faster_rcnn_fpn`, such as `num_classes`, or parts that replace those of
            the row.

    Returns:
        `RPN`, `FastRCNN` or `FasterRCNN`.

    Raises:
        ValueError: there is no such row, or the backbone does not have its levels; and
            as in `faster_rcnn_fpn`.
    """
    builder, rows = _TABLES.get(table, (None, {}))
    if builder is None or row not in rows:
        raise ValueError(
            f"table and row must be one of {paper_rows()}; received table={table!r}, "
            f"row={row!r}."
        )
    if isinstance(backbone, str) and backbone in backbones.NAMES:
        backbone = getattr(backbones, backbone)()
    parts = _MAPS[rows[row]](channels, norm, tuple(anchor_sizes))
    if table == 2:  # the proposals are given
        parts = {"neck": parts["neck"]}
    # The last stage is left out, or is the head. An unknown name raises in the builder.
    if rows[row] == "a" and isinstance(backbone, keras.Model):
        if weights == "imagenet":  # loaded before the split
            load_imagenet(backbone, weights)
            weights = None
        backbone, stage = split_backbone(backbone, "C4")
        if table != 1:
            parts["roi_align"] = PyramidRoIAlign(output_size=14, name="roi_align")
            parts["box_head"] = StageBoxHead(stage, name="box_head")
    name = f"{builder.__name__}_{str(table).replace(' ', '_')}_{row}"
    return builder(backbone, weights, **{"name": name, **parts, **arguments})
