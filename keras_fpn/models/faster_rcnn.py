"""Faster R-CNN on a feature pyramid."""

from collections.abc import Sequence
from pathlib import Path

import keras

from keras_fpn.models import published, published_detectron2
from keras_fpn.models.assignment import without_assignments
from keras_fpn.models.box_branch import BoxBranch
from keras_fpn.models.build import Family, build, with_box, with_region
from keras_fpn.models.detector import Detector
from keras_fpn.models.parts import restored
from keras_fpn.models.region_branch import RegionBranch
from keras_fpn.models.two_stage import TwoStageParts, proposal_stages
from keras_fpn.preprocessing import Preprocessing

_NOT_PARTS = ("name", "preprocessing", "class_names", "category_ids")


@keras.saving.register_keras_serializable(package="keras_fpn")
class FasterRCNN(Detector):
    """A two-stage detector: a region proposal network, and a head on its proposals.

    `trunk` outputs what `proposal_stages` returns.

    Source: Ren et al. 2015 (arXiv:1506.01497) and Lin et al. 2017 (arXiv:1612.03144),
    Sec. 4; numbers as in torchvision.

    Args:
        parts: `TwoStageParts`.
        preprocessing, class_names, category_ids, name: as in `Detector`.

    Returns:
        dict, as returned by `keras_fpn.layers.Detections`.
    """

    loss_names: tuple[str, ...] = RegionBranch.loss_names + BoxBranch.loss_names
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
        """Returns the arguments from a config of 0.1.0.dev0, which lists all parts."""
        parts = {
            name: restored(part, custom_objects)
            for name, part in config.items()
            if name not in _NOT_PARTS
        }
        arguments = {name: config[name] for name in _NOT_PARTS}
        return {"parts": TwoStageParts.of(without_assignments(parts)), **arguments}


def _complete(parts, num_classes):
    return with_box(with_region(without_assignments(parts)), num_classes)


FAMILY = Family(
    FasterRCNN,
    TwoStageParts,
    _complete,
    published={**published.FASTER_RCNN, **published_detectron2.FASTER_RCNN},
    coco={**published.COCO_OF_BACKBONE, **published_detectron2.FASTER_RCNN_COCO},
)


def faster_rcnn_fpn(
    backbone: keras.Model | str | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    category_ids: Sequence[int] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    name: str = "faster_rcnn_fpn",
    **parts,
):
    """Builds Faster R-CNN on a feature pyramid.

    A part that is not given is taken from the architecture of `weights` if a name or a
    file determines it. Otherwise it is the paper's, fitted to the backbone's levels.

    Source: Ren et al. 2015 (arXiv:1506.01497) on Lin et al. 2017 (arXiv:1612.03144);
    numbers as in torchvision 0.27.

    Example:
        model = keras_fpn.models.faster_rcnn_fpn(weights="coco")
        found = model.detect("photo.jpg")[0]

    Args:
        backbone: the name of a function in `keras_fpn.backbones`, such as "resnet50"
            (the default), "resnet101" or "mobilenet_v3_large"; or a functional
            `keras.Model` whose outputs are a dict of contiguous levels, such as
            "C2".."C5", where the map C<l> has stride 2^l.
        weights: None for random weights; "coco" for the published checkpoint with this
            backbone; "imagenet" for the backbone alone; the name of a preset (see
            `keras_fpn.list_presets`); or a file: a .keras file of this package, a
            .weights.h5 file of this architecture, a .pth file of torchvision or a .pkl
            file of detectron2. A published file is recognized by its hash.
        num_classes: int, K, without background. None takes the checkpoint's number, or
            COCO's 90 columns without a checkpoint. If it differs from the checkpoint's,
            everything but the box predictor is loaded, with a warning.
        class_names: list of str, K names.
        category_ids: list of int, K ids in the data set's files. None means 1..K, or
            those of the checkpoint if its classes are kept.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`, the size to which photos
            are resized, and the mean and standard deviation of pixels. None takes those
            of the checkpoint or the backbone.
        name: str, name of the model.
        **parts: any part, by its field name in `TwoStageParts`; None means the default.
            "neck", a layer from "C<l>" maps to "P<l>" maps (`FeaturePyramid`);
            "coarse_level", a layer that adds coarser levels for the RPN
            (`SubsampledLevel`); "anchors" (`MultiLevelAnchors` of 2^(l + 3) pixels on
            level l); "rpn_head" (`RPNHead`); "proposals" (`Proposals`); "roi_align"
            (`PyramidRoIAlign`); "box_head" (`TwoFCBoxHead`); "box_predictor"
            (`BoxPredictor`); "detections" (`Detections`); "rpn_match", "rpn_sample",
            "roi_match" and "roi_sample", the `keras_fpn.models.Match` and `Sample` of
            anchors and of RoIs in training.

    Returns:
        `keras_fpn.models.FasterRCNN`.

    Raises:
        ValueError: a name is unknown (the error lists near ones), the backbone has no
            usable levels, the parts do not fit each other, or the weights do not fit
            the architecture.
    """
    classes = (num_classes, class_names, category_ids)
    return build(FAMILY, backbone, weights, classes, preprocessing, name, parts)
