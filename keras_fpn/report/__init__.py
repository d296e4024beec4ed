"""Reports for people to read: the evaluation page, its curves, the worst mistakes."""

from keras_fpn.report.anchor_coverage import anchor_coverage
from keras_fpn.report.mistakes import Mistake, find_mistakes
from keras_fpn.report.page import evaluation_page

__all__ = ["Mistake", "anchor_coverage", "evaluation_page", "find_mistakes"]
