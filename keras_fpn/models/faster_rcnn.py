"""Faster R-CNN on a feature pyramid."""

import keras

from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.layers import NormalizePixels
from keras_fpn.models.assignment import ROI_ASSIGNMENT, RPN_ASSIGNMENT
from keras_fpn.models.detector import Detector
from keras_fpn.models.two_stage_losses import box_head_losses, rpn_losses, sampled_rois

PARTS = (
    "backbone",
    "neck",
    "coarse_level",
    "anchors",
    "rpn_head",
    "proposals",
    "roi_align",
    "box_head",
    "box_predictor",
    "detections",
    "rpn_assignment",
    "roi_assignment",
)


@keras.saving.register_keras_serializable(package="keras_fpn")
class FasterRCNN(Detector):
    """Two stages: a region proposal network, and a head on the RoIs it proposes.

    `trunk` is the graph up to the proposals, over the same layers: a functional model
    whose outputs are "bottom_up", "pyramid" (what RoIs read), "rpn_pyramid" (with the
    RPN's coarser levels), "anchors", "objectness", "deltas", "rois" and "roi_scores".
    Its RoIs go through `roi_align`, `box_head` and `box_predictor`.

    Source: Ren et al. 2015 (arXiv:1506.01497) and Lin et al. 2017 (arXiv:1612.03144),
    Sec. 4; numbers as in torchvision.

    Args:
        backbone: functional model, float (B, H, W, 3) -> dict "C<l>" -> map.
        neck: layer, dict "C<l>" -> dict "P<l>", such as `FeaturePyramid`.
        coarse_level: layer that adds the RPN's own levels, such as `SubsampledLevel`.
        anchors: `MultiLevelAnchors`.
        rpn_head: `RPNHead`.
        proposals: `Proposals`.
        roi_align: `PyramidRoIAlign`.
        box_head: layer, (B, R, P, P, C) -> (B, R, D).
        box_predictor: `BoxPredictor`.
        detections: `Detections`.
        preprocessing: `Preprocessing`; without a mean and deviation of its own it gets
            the backbone's.
        class_names: list of str, K names.
        category_ids: list of int, K identifiers in the data set's files.
        rpn_assignment: `Assignment` of anchors, while training.
        roi_assignment: `Assignment` of RoIs, while training.
        name: str.

    Call arguments:
        inputs: dict, "images" float32 (B, H, W, 3), RGB, 0..255, padded at the right
            and bottom, and "image_sizes" float32 (B, 2), height and width without it.

    Returns:
        dict, as `keras_fpn.layers.Detections`.
    """

    # Ten parts, because the figure has ten: each is one statement of the graph.
    def __init__(
        self,
        backbone,
        neck,
        coarse_level,
        anchors,
        rpn_head,
        proposals,
        roi_align,
        box_head,
        box_predictor,
        detections,
        preprocessing,
        class_names,
        category_ids,
        rpn_assignment=RPN_ASSIGNMENT,
        roi_assignment=ROI_ASSIGNMENT,
        name="faster_rcnn_fpn",
    ):
        preprocessing = preprocessing.completed(*pixel_mean_and_std(backbone))
        normalize = NormalizePixels(
            preprocessing.mean, preprocessing.std, name="normalize"
        )
        images = keras.Input((None, None, 3), name="images")
        sizes = keras.Input((2,), name="image_sizes")

        bottom_up = backbone(normalize(images, sizes))  # C2..C5
        pyramid = neck(bottom_up)  # P2..P5
        rpn_pyramid = coarse_level(pyramid)  # P2..P6
        anchor_boxes = anchors(rpn_pyramid, images)  # per level (N_l, 4)
        objectness, deltas = rpn_head(rpn_pyramid)  # (B, N_l), (B, N_l, 4)
        rois, roi_scores = proposals(
            anchor_boxes, objectness, deltas, sizes
        )  # (B, R, 4)
        roi_features = roi_align(pyramid, rois)  # (B, R, 7, 7, C)
        hidden = box_head(roi_features)  # (B, R, D)
        class_logits, box_deltas = box_predictor(hidden)  # (B, R, K + 1), (B, R, K, 4)

        inputs = {"images": images, "image_sizes": sizes}
        candidates = {
            "class_logits": class_logits,
            "box_deltas": box_deltas,
            "rois": rois,
            "image_sizes": sizes,
        }
        labels = (class_names, category_ids)
        super().__init__(
            inputs, candidates, detections, preprocessing, *labels, name=name
        )
        self.trunk = keras.Model(
            inputs,
            {
                "bottom_up": bottom_up,
                "pyramid": pyramid,
                "rpn_pyramid": rpn_pyramid,
                "anchors": anchor_boxes,
                "objectness": objectness,
                "deltas": deltas,
                "rois": rois,
                "roi_scores": roi_scores,
            },
            name="trunk",
        )
        self.backbone = backbone
        self.neck = neck
        self.coarse_level = coarse_level
        self.anchors = anchors
        self.rpn_head = rpn_head
        self.proposals = proposals
        self.roi_align = roi_align
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.rpn_assignment = rpn_assignment
        self.roi_assignment = roi_assignment

    loss_names = ("objectness_loss", "rpn_box_loss", "class_loss", "box_loss")

    def stage_losses(self, stages, truth, seed, step, training):
        yield rpn_losses(stages, truth, self.rpn_assignment, seed, step)
        rois, labels, matches = sampled_rois(
            stages, truth, self.roi_assignment, seed, step
        )
        roi_features = self.roi_align(stages["pyramid"], rois)
        hidden = self.box_head(roi_features, training=training)
        logits, deltas = self.box_predictor(hidden)
        yield box_head_losses(logits, deltas, rois, labels, matches, truth)

    def parts(self):
        return {name: getattr(self, name) for name in PARTS}
