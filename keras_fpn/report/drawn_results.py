"""Draws what a detector found in a photo, whatever it finds."""

import numpy as np

from keras_fpn.visualize import (
    color_numbers,
    draw_detections,
    draw_keypoints,
    draw_masks,
    draw_panoptic,
    draw_semantic,
)


def draw_results(
    pixels, found: dict, model, title: str | None = None, still: bool = True
):
    """Returns the picture of what was found: its maps if there are any, or its boxes.

    Objects are segments of a panoptic map, so their boxes would only hide it. Where
    there is only one class, each object has its own color.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        found: as `model.detect` returns it.
        model: the detector, for the names of classes and the skeleton.
        title: text on a strip above the photo; None for no strip.
        still: whether it is no frame of a video. Frames are not enlarged, and their
            objects have the color of their class: from frame to frame their order
            changes, and own colors would flicker.

    Returns:
        PIL.Image in RGB.
    """
    if "panoptic_map" in found:
        names = model.class_names, model.stuff_names
        numbers, segments = found["panoptic_map"], found["segments"]
        return draw_panoptic(pixels, numbers, segments, *names, title, still)
    if "semantic_map" in found:
        numbers, names = found["semantic_map"], model.class_names
        return draw_semantic(pixels, numbers, names, title, still)
    boxes, labels, scores = (found[name] for name in ("boxes", "labels", "scores"))
    names, picture = model.class_names, pixels
    colors = color_numbers(labels, names) if still else labels
    if "masks" in found:
        picture = draw_masks(pixels, found["masks"], colors)
    if "keypoints" in found:
        picture = _with_keypoints(picture, found["keypoints"], colors, model)
    how = title, still, colors
    return draw_detections(picture, boxes, labels, scores, names, *how)


def _with_keypoints(picture, keypoints, colors, model):
    """Draws the keypoints whose score is above the model's `keypoint_threshold`."""
    seen = np.where(keypoints[..., 2:] > model.keypoint_threshold, 2, 0)
    points = np.concatenate([keypoints[..., :2], seen], axis=-1)
    return draw_keypoints(picture, points, colors, model.keypoint_set.skeleton)
