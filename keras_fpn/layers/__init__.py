"""Layers of which detectors are made; each also works alone in a functional model."""

from keras_fpn.layers.anchors import MultiLevelAnchors, StridedAnchors
from keras_fpn.layers.box_head import (
    BoxPredictor,
    ClassAgnosticBoxPredictor,
    ConvBoxHead,
    TwoFCBoxHead,
)
from keras_fpn.layers.coarse_levels import ConvolvedLevels, SubsampledLevel
from keras_fpn.layers.compared_pyramids import (
    NoTopDown,
    SingleMap,
    TopDownWithoutLateral,
)
from keras_fpn.layers.conv_norm import ConvNorm, DepthwiseConvNorm
from keras_fpn.layers.deformable_convolution import DeformableConvolution
from keras_fpn.layers.dense_detections import DenseDetections
from keras_fpn.layers.dense_head import DenseHead, DensePredictor
from keras_fpn.layers.detections import Detections
from keras_fpn.layers.fapn import fapn
from keras_fpn.layers.feature_align import FeatureAlign
from keras_fpn.layers.feature_selection import FeatureSelection
from keras_fpn.layers.fpn import FeaturePyramid
from keras_fpn.layers.keypoint_head import KeypointHead, KeypointPredictor
from keras_fpn.layers.keypoint_peaks import LogitPeaks, ProbabilityPeaks
from keras_fpn.layers.lateral import LateralConnection, SmoothingConvolution
from keras_fpn.layers.leading_rows import LeadingRows
from keras_fpn.layers.mask_detections import MaskDetections
from keras_fpn.layers.mask_head import FCNMaskHead, MaskPredictor
from keras_fpn.layers.normalize import NormalizePixels
from keras_fpn.layers.point_detections import PointDetections
from keras_fpn.layers.point_head import PointPredictor
from keras_fpn.layers.proposal_detections import ProposalDetections
from keras_fpn.layers.proposals import Proposals
from keras_fpn.layers.pyramid_roi_align import PyramidRoIAlign
from keras_fpn.layers.refined_boxes import MeanProbabilities, RefinedBoxes
from keras_fpn.layers.rpn_head import RPNHead
from keras_fpn.layers.segment_detections import SegmentDetections, TopSegments
from keras_fpn.layers.segment_head import SegmentHead
from keras_fpn.layers.segment_windows import SegmentWindows
from keras_fpn.layers.semantic_head import (
    SemanticFPNHead,
    SemanticPredictor,
    StuffPredictor,
)
from keras_fpn.layers.stage_box_head import StageBoxHead
from keras_fpn.layers.top_down import TopDownMerge

__all__ = [
    "BoxPredictor",
    "ClassAgnosticBoxPredictor",
    "ConvBoxHead",
    "ConvNorm",
    "ConvolvedLevels",
    "DeformableConvolution",
    "DenseDetections",
    "DenseHead",
    "DensePredictor",
    "DepthwiseConvNorm",
    "Detections",
    "FCNMaskHead",
    "FeatureAlign",
    "FeaturePyramid",
    "FeatureSelection",
    "KeypointHead",
    "KeypointPredictor",
    "LateralConnection",
    "LeadingRows",
    "LogitPeaks",
    "MaskDetections",
    "MaskPredictor",
    "MeanProbabilities",
    "MultiLevelAnchors",
    "NoTopDown",
    "NormalizePixels",
    "PointDetections",
    "PointPredictor",
    "ProbabilityPeaks",
    "ProposalDetections",
    "Proposals",
    "PyramidRoIAlign",
    "RPNHead",
    "RefinedBoxes",
    "SegmentDetections",
    "SegmentHead",
    "SegmentWindows",
    "SemanticFPNHead",
    "SemanticPredictor",
    "SingleMap",
    "SmoothingConvolution",
    "StageBoxHead",
    "StridedAnchors",
    "StuffPredictor",
    "SubsampledLevel",
    "TopDownMerge",
    "TopDownWithoutLateral",
    "TopSegments",
    "TwoFCBoxHead",
    "fapn",
]
