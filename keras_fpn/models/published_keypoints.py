"""The parts of each published Keypoint R-CNN that differ from the paper's.

Source: torchvision 0.27, and the configs of detectron2 at commit 02b5c4e295e9, whose
checkpoints expect exactly these numbers.
"""

from collections.abc import Callable

from keras_fpn.backbones import resnet50
from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import Detections, ProbabilityPeaks, Proposals
from keras_fpn.models.published_detectron2 import faster_rcnn_parts


def torchvision_parts():
    """Returns the parts of keypointrcnn_resnet50_fpn, whose norms have epsilon 0."""
    return {"backbone": resnet50(epsilon=0.0)}


def detectron2_parts():
    """Returns the parts of keypoint_rcnn_R_50_FPN.

    Persons overlap, so more proposals are trained on, and the box loss is less strict.
    """
    return {
        **faster_rcnn_parts(),
        "proposals": Proposals(
            post_nms_top_k=1000,
            training_post_nms_top_k=1500,
            coder=BoxCoder(beta=0.0),
            name="proposals",
        ),
        "detections": Detections(
            coder=BoxCoder((10.0, 10.0, 5.0, 5.0), beta=0.5), name="detections"
        ),
        "keypoint_peaks": ProbabilityPeaks(name="keypoint_peaks"),
    }


# The parts of each architecture that has a checkpoint, by the checkpoint's name.
KEYPOINT_RCNN: dict[str, Callable[[], dict]] = {
    "keypoint_rcnn_resnet50_fpn_coco": torchvision_parts,
    "keypoint_rcnn_resnet50_fpn_detectron2_1x": detectron2_parts,
    "keypoint_rcnn_resnet50_fpn_detectron2_3x": detectron2_parts,
}

# The checkpoint that weights="coco" loads, by the name of the backbone.
KEYPOINT_RCNN_COCO = {
    "resnet50": "keypoint_rcnn_resnet50_fpn_coco",
    "msra_resnet50": "keypoint_rcnn_resnet50_fpn_detectron2_3x",
}
