"""Average precision and recall as COCO defines them, mean IoU, panoptic quality."""

from keras_fpn.metrics.best_threshold import OperatingPoint, operating_point
from keras_fpn.metrics.boundary import boundary_iou, mean_boundary_iou
from keras_fpn.metrics.callback import CocoEvaluation
from keras_fpn.metrics.coco import Metrics, evaluate_boxes
from keras_fpn.metrics.convert import coco_ground_truth, detections_to_coco
from keras_fpn.metrics.evaluation import Evaluation, PhotoError, evaluate_photos
from keras_fpn.metrics.panoptic import PanopticMetrics, PanopticScores
from keras_fpn.metrics.proposals import (
    ProposalRecall,
    evaluate_proposals,
    propose_photos,
    proposing,
)
from keras_fpn.metrics.semantic import SemanticMetrics, SemanticScores

__all__ = [
    "CocoEvaluation",
    "Evaluation",
    "Metrics",
    "OperatingPoint",
    "PanopticMetrics",
    "PanopticScores",
    "PhotoError",
    "ProposalRecall",
    "SemanticMetrics",
    "SemanticScores",
    "boundary_iou",
    "coco_ground_truth",
    "detections_to_coco",
    "evaluate_boxes",
    "evaluate_photos",
    "evaluate_proposals",
    "mean_boundary_iou",
    "operating_point",
    "propose_photos",
    "proposing",
]
