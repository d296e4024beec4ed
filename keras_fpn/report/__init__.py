"""Reports and pictures for people: evaluations, mistakes, anchors, photos, videos."""

from keras_fpn.report.anchor_coverage import anchor_coverage, level_strides
from keras_fpn.report.detected_photos import detect_photos
from keras_fpn.report.detected_video import detect_video
from keras_fpn.report.evaluation_files import write_evaluation
from keras_fpn.report.mistakes import find_mistakes
from keras_fpn.report.page import evaluation_page
from keras_fpn.report.pictures import picture_paths
from keras_fpn.report.text import evaluation_text
from keras_fpn.report.training_photos import draw_training_photos

__all__ = [
    "anchor_coverage",
    "detect_photos",
    "detect_video",
    "draw_training_photos",
    "evaluation_page",
    "evaluation_text",
    "find_mistakes",
    "level_strides",
    "picture_paths",
    "write_evaluation",
]
