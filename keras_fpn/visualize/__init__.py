"""Draws onto photos, legibly at any size, in one color per class or object; with
Pillow alone.

Draw masks first, then keypoints, then detections: each function returns a photo that
the next one takes. Maps are drawn alone.
"""

from keras_fpn.visualize.boxes import draw_detections
from keras_fpn.visualize.colors import class_color, color_numbers
from keras_fpn.visualize.keypoints import draw_keypoints
from keras_fpn.visualize.maps import draw_panoptic, draw_semantic
from keras_fpn.visualize.masks import draw_masks

__all__ = [
    "class_color",
    "color_numbers",
    "draw_detections",
    "draw_keypoints",
    "draw_masks",
    "draw_panoptic",
    "draw_semantic",
]
