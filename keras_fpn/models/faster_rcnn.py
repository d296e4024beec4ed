"""Faster R-CNN on a feature pyramid."""

from collections.abc import Sequence
from pathlib import Path

import keras

from keras_fpn.layers import BoxPredictor, Detections, PyramidRoIAlign, TwoFCBoxHead
from keras_fpn.models.assignment import without_assignments
from keras_fpn.models.build import Family, build, with_defaults, with_region
from keras_fpn.models.detector import Detector
from keras_fpn.models.parts import restored
from keras_fpn.models.published import COCO_OF_BACKBONE, FASTER_RCNN
from keras_fpn.models.two_stage import TwoStageParts, proposal_stages

_NOT_PARTS = ("name", "preprocessing", "class_names", "category_ids")


@keras.saving.register_keras_serializable(package="keras_fpn")
class FasterRCNN(Detector):
    """Two stages: a region proposal network, and a head on the RoIs it proposes.

    The outputs of its `trunk` are those of `proposal_stages`.

    Source: Ren et al. 2015 (arXiv:1506.01497) and Lin et al. 2017 (arXiv:1612.03144),
    Sec. 4; numbers as in torchvision.

    Args:
        parts: `TwoStageParts`.
        preprocessing, class_names, category_ids, name: as of `Detector`.

    Returns:
        dict, as `keras_fpn.layers.Detections`.
    """

    loss_names = ("objectness_loss", "rpn_box_loss", "class_loss", "box_loss")
    stages = staticmethod(proposal_stages)

    @staticmethod
    def results(parts, stages, **limits):
        return parts.box.outputs(stages, **limits)

    def stage_losses(self, stages, truth, seed, step, training):
        region, box = self.parts.region, self.parts.box
        yield region.losses(stages, truth, seed, step)
        sampled = box.sampled(stages, truth, seed, step)
        yield box.losses(stages, sampled, truth, training)

    def final_part(self):
        return self.parts.box.detections

    @classmethod
    def from_flat(cls, config, custom_objects=None):
        """Returns the arguments of a config of 0.1.0.dev0, which named every part."""
        parts = {
            name: restored(part, custom_objects)
            for name, part in config.items()
            if name not in _NOT_PARTS
        }
        arguments = {name: config[name] for name in _NOT_PARTS}
        return {"parts": TwoStageParts.of(without_assignments(parts)), **arguments}


def _complete(parts, num_classes):
    parts = with_region(without_assignments(parts))
    defaults = {
        "roi_align": PyramidRoIAlign,
        "box_head": TwoFCBoxHead,
        "detections": Detections,
    }
    predictor = BoxPredictor(num_classes, name="box_predictor")
    return {"box_predictor": predictor, **with_defaults(parts, defaults)}


FAMILY = Family(FasterRCNN, TwoStageParts, _complete, FASTER_RCNN, COCO_OF_BACKBONE)


def faster_rcnn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    preprocessing=None,
    name: str = "faster_rcnn_fpn",
    **parts,
):
    """Builds Faster R-CNN on a feature pyramid.

    A part that is not given is that of the architecture `weights` was made with, if a
    name or a file tells it, or else the paper's, fitted to the backbone's levels.

    Source: Ren et al. 2015 (arXiv:1506.01497) on Lin et al. 2017 (arXiv:1612.03144);
    numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.faster_rcnn_fpn(weights="coco")
        found = model.detect("photo.jpg")[0]

    Args:
        backbone: name in `keras_fpn.backbones`, such as "resnet50" (the default),
            "resnet101" or "mobilenet_v3_large"; or any functional `keras.Model` whose
            outputs are a dict of contiguous levels, "C2".."C5" or a part of them, the
            map C<l> of stride 2^l. A name means the model of that name.
        weights: None, random; "coco", the builder's own checkpoint for the backbone;
            "imagenet", for the backbone alone; a preset's name (see
            `keras_fpn.list_presets`); or a file: .keras of this package, .weights.h5 of
            this architecture, or a torchvision .pth, a published one of which is known
            by its SHA-256.
        num_classes: int, K, without background; None, as the checkpoint (COCO's 90
            columns where there is none). With another number than the checkpoint's,
            everything but the box predictor is loaded, and a warning says so.
        class_names: list of str, K names.
        category_ids: list of int, K identifiers in the data set's files; None, 1..K.
        preprocessing: None, `keras_fpn.preprocessing.Preprocessing`, which holds the
            photo's size and, if others than the backbone's, pixel mean and deviation.
        name: str, the model's.
        **parts: any part, by its name in `TwoStageParts`; None means the default.
            "neck", a layer from "C<l>" maps to "P<l>" maps (`FeaturePyramid`);
            "coarse_level", which adds the RPN's coarser levels (`SubsampledLevel`);
            "anchors" (`MultiLevelAnchors` of 2^(l + 3) pixels on level l); "rpn_head"
            (`RPNHead`); "proposals" (`Proposals`); "roi_align" (`PyramidRoIAlign`);
            "box_head" (`TwoFCBoxHead`); "box_predictor" (`BoxPredictor`); "detections"
            (`Detections`); "rpn_match", "rpn_sample", "roi_match" and "roi_sample",
            `keras_fpn.models.Match` and `Sample` of anchors and of RoIs in training.

    Returns:
        `keras_fpn.models.FasterRCNN`.

    Raises:
        ValueError: an unknown name (the error lists near ones), a backbone without
            usable levels, parts that do not fit each other, or weights that do not fit.
    """
    classes = {
        "num_classes": num_classes,
        "class_names": class_names,
        "category_ids": category_ids,
    }
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
