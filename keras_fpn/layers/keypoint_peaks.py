"""Turns heat maps into keypoints with scores: each at the peak of its map."""

import keras
from keras import KerasTensor, ops

from keras_fpn.boxes import box_sides
from keras_fpn.ops.heat_map_peaks import heat_map_peaks


class KeypointPeaks(keras.layers.Layer):
    """Finds each keypoint at the center of the highest pixel of its heat map.

    Each map is stretched over its box by bicubic interpolation, to ceil(width) x
    ceil(height) pixels, 1 at least. A subclass says what the score of a peak is.

    Source: `heatmaps_to_keypoints` of torchvision and of detectron2.

    Call arguments:
        logits: float (B, D', S, S, J), of the first D' <= D detections.
        boxes: float32 (B, D, 4), xyxy, input-image pixels.
        num_detections: int32 (B,), 0..D'.

    Returns:
        float32 (B, D, J, 3), x and y in input-image pixels and the score; 0 in the rows
        after the last detection.
    """

    # The score above which pictures show a keypoint.
    shown_above: float

    def __init__(self, **kwargs):
        # Coordinates and scores are float32 under every dtype policy.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})

    def scores(self, peaks, maps):
        """Returns the scores of keypoints, float32 (Q,).

        Args:
            peaks: float32 (Q,), the largest values of resized maps.
            maps: float32 (Q, S, S), logits.
        """
        raise NotImplementedError

    def call(self, logits, boxes, num_detections):
        batch, some = ops.shape(logits)[:2]
        joints, rows = logits.shape[4], ops.shape(boxes)[1]
        boxes = ops.cast(boxes[:, :some], "float32")
        count = ops.cast(num_detections, "int32")[:, None]
        found = ops.arange(some, dtype="int32")[None] < count  # (B, D')
        sides = ops.maximum(ops.stack(box_sides(boxes), axis=-1), 1.0)
        pixels = ops.where(found[..., None], ops.ceil(sides), 0.0)  # (B, D', 2)
        maps = ops.transpose(ops.cast(logits, "float32"), (0, 1, 4, 2, 3))
        maps = ops.reshape(maps, (-1, *logits.shape[2:4]))
        each = ops.repeat(ops.reshape(pixels[..., ::-1], (-1, 2)), joints, axis=0)
        peaks, places = heat_map_peaks(maps, ops.cast(each, "int32"))
        places = ops.reshape(places[:, ::-1], (batch, some, joints, 2))
        # A pixel of a resized map is a little smaller than one of the image.
        size = (sides / ops.maximum(pixels, 1.0))[:, :, None]
        points = (ops.cast(places, "float32") + 0.5) * size + boxes[:, :, None, :2]
        scores = ops.reshape(self.scores(peaks, maps), (batch, some, joints, 1))
        keypoints = ops.concatenate([points, scores], axis=-1)
        keypoints = ops.where(found[..., None, None], keypoints, 0.0)
        return ops.pad(keypoints, ((0, 0), (0, rows - some), (0, 0), (0, 0)))

    def compute_output_spec(self, logits, boxes, num_detections):
        return KerasTensor((*boxes.shape[:2], logits.shape[4], 3), "float32")


@keras.saving.register_keras_serializable(package="keras_fpn")
class LogitPeaks(KeypointPeaks):
    """`KeypointPeaks` whose scores are the values of the peaks, of any sign.

    Source: torchvision; what is shown is our choice.
    """

    shown_above = 0.0

    def scores(self, peaks, maps):
        return peaks


@keras.saving.register_keras_serializable(package="keras_fpn")
class ProbabilityPeaks(KeypointPeaks):
    """`KeypointPeaks` whose scores are probabilities: exp(peak) / sum(exp(map)).

    The sum is over the map before it is resized, so a score may slightly exceed 1.

    Source: detectron2, the threshold of whose pictures is the same.
    """

    shown_above = 0.05

    def scores(self, peaks, maps):
        return ops.exp(peaks - ops.logsumexp(maps, axis=(1, 2)))
