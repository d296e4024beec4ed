"""Detectors: their builders, their classes, and the parts of which they are made."""

from keras_fpn.box_coder import BoxCoder, GIoUCoder
from keras_fpn.matcher import Match
from keras_fpn.models.ablations import paper_row, paper_rows
from keras_fpn.models.assignment import Assignment
from keras_fpn.models.box_branch import BoxBranch
from keras_fpn.models.cascade_branch import CascadeBranch, CascadeStage
from keras_fpn.models.cascade_rcnn import (
    CascadeMaskRCNN,
    CascadeMaskRCNNParts,
    CascadeRCNN,
    CascadeRCNNParts,
    cascade_mask_rcnn_fpn,
    cascade_rcnn_fpn,
)
from keras_fpn.models.class_columns import ClassColumns
from keras_fpn.models.dense_branch import DenseBranch
from keras_fpn.models.detector import Detector
from keras_fpn.models.fast_rcnn import FastRCNN, FastRCNNParts, fast_rcnn_fpn
from keras_fpn.models.faster_rcnn import FasterRCNN, faster_rcnn_fpn
from keras_fpn.models.fcos import FCOS, FCOSParts, fcos_fpn
from keras_fpn.models.fold import fold_batch_norms
from keras_fpn.models.ground_truth import GroundTruth
from keras_fpn.models.keypoint_branch import KeypointBranch
from keras_fpn.models.keypoint_rcnn import (
    KeypointRCNN,
    KeypointRCNNParts,
    keypoint_rcnn_fpn,
)
from keras_fpn.models.keypoint_set import COCO_PERSON, KeypointSet
from keras_fpn.models.loss_divisors import (
    BatchPositives,
    ImagePositives,
    MovingPositives,
)
from keras_fpn.models.mask_branch import MaskBranch
from keras_fpn.models.mask_rcnn import MaskRCNN, MaskRCNNParts, mask_rcnn_fpn
from keras_fpn.models.mask_targets import MaskTargets
from keras_fpn.models.panoptic import PanopticFPN, PanopticParts, panoptic_fpn
from keras_fpn.models.panoptic_merge import PanopticMerge
from keras_fpn.models.parts import Parts
from keras_fpn.models.pasted_masks import ExactPaste, WholePixelPaste
from keras_fpn.models.point_branch import PointBranch
from keras_fpn.models.point_match import PointMatch
from keras_fpn.models.region_branch import RegionBranch
from keras_fpn.models.results import RESULTS, Result
from keras_fpn.models.retinanet import RetinaNet, RetinaNetParts, retinanet_fpn
from keras_fpn.models.rpn import RPN, RPNParts, rpn_fpn
from keras_fpn.models.segment_branch import SegmentBranch
from keras_fpn.models.segment_proposals import (
    SegmentParts,
    SegmentProposals,
    segment_proposals_fpn,
)
from keras_fpn.models.semantic import SemanticFPN, SemanticParts, semantic_fpn
from keras_fpn.models.semantic_branch import SemanticBranch, StuffBranch
from keras_fpn.models.stuff_set import COCO_STUFF, StuffSet
from keras_fpn.models.two_stage import TwoStageParts
from keras_fpn.point_coder import PointCoder
from keras_fpn.sampler import FullSample, Sample

__all__ = [
    "COCO_PERSON",
    "COCO_STUFF",
    "FCOS",
    "RESULTS",
    "RPN",
    "Assignment",
    "BatchPositives",
    "BoxBranch",
    "BoxCoder",
    "CascadeBranch",
    "CascadeMaskRCNN",
    "CascadeMaskRCNNParts",
    "CascadeRCNN",
    "CascadeRCNNParts",
    "CascadeStage",
    "ClassColumns",
    "DenseBranch",
    "Detector",
    "ExactPaste",
    "FCOSParts",
    "FastRCNN",
    "FastRCNNParts",
    "FasterRCNN",
    "FullSample",
    "GIoUCoder",
    "GroundTruth",
    "ImagePositives",
    "KeypointBranch",
    "KeypointRCNN",
    "KeypointRCNNParts",
    "KeypointSet",
    "MaskBranch",
    "MaskRCNN",
    "MaskRCNNParts",
    "MaskTargets",
    "Match",
    "MovingPositives",
    "PanopticFPN",
    "PanopticMerge",
    "PanopticParts",
    "Parts",
    "PointBranch",
    "PointCoder",
    "PointMatch",
    "RPNParts",
    "RegionBranch",
    "Result",
    "RetinaNet",
    "RetinaNetParts",
    "Sample",
    "SegmentBranch",
    "SegmentParts",
    "SegmentProposals",
    "SemanticBranch",
    "SemanticFPN",
    "SemanticParts",
    "StuffBranch",
    "StuffSet",
    "TwoStageParts",
    "WholePixelPaste",
    "cascade_mask_rcnn_fpn",
    "cascade_rcnn_fpn",
    "fast_rcnn_fpn",
    "faster_rcnn_fpn",
    "fcos_fpn",
    "fold_batch_norms",
    "keypoint_rcnn_fpn",
    "mask_rcnn_fpn",
    "panoptic_fpn",
    "paper_row",
    "paper_rows",
    "retinanet_fpn",
    "rpn_fpn",
    "segment_proposals_fpn",
    "semantic_fpn",
]
