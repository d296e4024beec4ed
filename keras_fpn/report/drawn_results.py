"""Draws what a detector found in a photo, whatever it finds."""

import numpy as np

from keras_fpn.visualize import (
    draw_detections,
    draw_keypoints,
    draw_masks,
    draw_panoptic,
    draw_semantic,
)


def draw_results(
    pixels, found: dict, model, title: str | None = None, enlarge: bool = True
):
    """Returns the picture of what was found: its maps if there are any, or its boxes.

    Objects are segments of a panoptic map, so their boxes would only hide it.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        found: as `model.detect` returns it.
        model: the detector, for the names of classes and the skeleton.
        title: text on a strip above the photo; None for no strip.
        enlarge: whether a small photo is enlarged, as by `draw_detections`.

    Returns:
        PIL.Image in RGB.
    """
    if "panoptic_map" in found:
        names = model.class_names, model.stuff_names
        numbers, segments = found["panoptic_map"], found["segments"]
        return draw_panoptic(pixels, numbers, segments, *names, title, enlarge)
    if "semantic_map" in found:
        numbers, names = found["semantic_map"], model.class_names
        return draw_semantic(pixels, numbers, names, title, enlarge)
    labels, picture = found["labels"], pixels
    if "masks" in found:
        picture = draw_masks(pixels, found["masks"], labels)
    if "keypoints" in found:
        picture = _with_keypoints(picture, found["keypoints"], labels, model)
    boxes, scores, names = found["boxes"], found["scores"], model.class_names
    return draw_detections(picture, boxes, labels, scores, names, title, enlarge)


def _with_keypoints(picture, keypoints, labels, model):
    """Draws the keypoints whose score is above the model's `keypoint_threshold`."""
    seen = np.where(keypoints[..., 2:] > model.keypoint_threshold, 2, 0)
    points = np.concatenate([keypoints[..., :2], seen], axis=-1)
    return draw_keypoints(picture, points, labels, model.keypoint_set.skeleton)
