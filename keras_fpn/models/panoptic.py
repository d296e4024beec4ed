"""Panoptic FPN: Mask R-CNN and a semantic branch on one pyramid."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras

from keras_fpn.layers import StuffPredictor
from keras_fpn.models import mask_rcnn
from keras_fpn.models.build import Family, build
from keras_fpn.models.mask_rcnn import MaskRCNN, MaskRCNNParts
from keras_fpn.models.published_detectron2 import PANOPTIC_FPN, PANOPTIC_FPN_COCO
from keras_fpn.models.semantic import with_semantic
from keras_fpn.models.semantic_branch import StuffBranch
from keras_fpn.models.stuff_set import COCO_STUFF
from keras_fpn.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class PanopticParts(MaskRCNNParts):
    """The parts of a Panoptic FPN.

    Attributes:
        backbone, neck, region, box, mask: as in `MaskRCNNParts`.
        semantic: `StuffBranch`.
    """

    semantic: StuffBranch


@keras.saving.register_keras_serializable(package="keras_fpn")
class PanopticFPN(MaskRCNN):
    """Mask R-CNN that also finds stuff, and merges both into one map.

    Source: Kirillov et al. 2019 (arXiv:1901.02446); numbers as in detectron2.

    Args:
        parts: `PanopticParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`; the classes
            are those of things.

    Returns:
        dict, as returned by `MaskRCNN`, and "semantic_logits" float32
        (B, h, w, 1 + S), of stride 4.
    """

    loss_names = MaskRCNN.loss_names + StuffBranch.loss_names
    targets = MaskRCNN.targets + StuffBranch.targets
    monitor = "PQ"

    @staticmethod
    def results(parts, stages, **limits):
        found = MaskRCNN.results(parts, stages, **limits)
        return [*found, parts.semantic.outputs(stages)]

    def stage_losses(self, stages, truth, seed, step, training):
        yield from super().stage_losses(stages, truth, seed, step, training)
        yield self.parts.semantic.losses(stages, truth, training)

    def merged(self, found, photo_size):
        size = (int(photo_size[0]), int(photo_size[1]))
        crops = zip(found["masks"], found["mask_windows"], strict=True)
        panoptic_map, segments = self.parts.semantic.panoptic_merge(
            found["scores"],
            found["labels"],
            (self.mask_paste(*crop, size) for crop in crops),
            found["semantic_map"],
        )
        return {**found, "panoptic_map": panoptic_map, "segments": segments}

    @property
    def stuff_set(self):
        """`StuffSet`, the stuff classes."""
        return self.parts.semantic.stuff

    @property
    def stuff_names(self):
        """list of str, S names; label i of stuff is `stuff_names[i]`."""
        return list(self.stuff_set.names)

    @property
    def stuff_ids(self):
        """list of int, S ids in the data set's files."""
        return list(self.stuff_set.ids)


def _complete(parts, num_classes):
    parts = mask_rcnn.FAMILY.complete(parts, num_classes)
    stuff = parts.setdefault("stuff", COCO_STUFF)
    return with_semantic(parts, partial(StuffPredictor, len(stuff)))


FAMILY = Family(PanopticFPN, PanopticParts, _complete, PANOPTIC_FPN, PANOPTIC_FPN_COCO)


def panoptic_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "panoptic_fpn",
    **parts,
):
    """Builds a Panoptic FPN.

    Source: Kirillov et al. 2019 (arXiv:1901.02446); numbers as in detectron2.

    Example:
        model = keras_fpn.models.panoptic_fpn("msra_resnet50", weights="coco")
        found = model.detect("photo.jpg")[0]
        for segment in found["segments"]:
            names = model.class_names if segment["isthing"] else model.stuff_names
            print(names[segment["label"]], segment["area"])

    Args:
        backbone: as in `faster_rcnn_fpn`; it needs a map C2.
        weights: None for random weights; "coco" for the published checkpoint with this
            backbone, "msra_resnet50" or "msra_resnet101"; "imagenet" for the backbone
            alone; the name of a preset; or a file: a .keras file of a Panoptic FPN of
            this package, a .weights.h5 file of this architecture, or a .pkl file of
            detectron2.
        num_classes, class_names, category_ids: as in `faster_rcnn_fpn`, of things.
        preprocessing: as in `faster_rcnn_fpn`.
        name: str, name of the model.
        **parts: any part, by its field name in `PanopticParts`; None means the default.
            Those of `mask_rcnn_fpn`; "stuff", a `keras_fpn.models.StuffSet` (COCO's 53
            classes); "semantic_head" (`SemanticFPNHead`); "semantic_predictor"
            (`StuffPredictor`); "semantic_loss_weight" (0.5); "panoptic_merge"
            (`PanopticMerge`).

    Returns:
        `keras_fpn.models.PanopticFPN`.

    Raises:
        ValueError: as in `faster_rcnn_fpn`, a map C<l> does not have stride 2^l, or the
            predictor and the set have different numbers of stuff classes.
    """
    classes = (num_classes, class_names, category_ids)
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
