"""Draws on photos, legibly at any size, in a fixed color per class; Pillow only.

Draw masks first, then keypoints, then detections: each returns a photo for the next.
"""

from keras_fpn.visualize.boxes import draw_detections
from keras_fpn.visualize.colors import class_color
from keras_fpn.visualize.keypoints import draw_keypoints
from keras_fpn.visualize.masks import draw_masks

__all__ = ["class_color", "draw_detections", "draw_keypoints", "draw_masks"]
