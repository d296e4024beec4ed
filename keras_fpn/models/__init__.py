"""Detectors: builders, and the classes they build."""

from keras_fpn.models.assignment import Assignment
from keras_fpn.models.build_faster_rcnn import faster_rcnn_fpn
from keras_fpn.models.detector import Detector
from keras_fpn.models.faster_rcnn import FasterRCNN

__all__ = ["Assignment", "Detector", "FasterRCNN", "faster_rcnn_fpn"]
