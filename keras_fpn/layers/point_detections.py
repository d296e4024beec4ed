"""Turns the predictions of FCOS into the final boxes."""

import keras

from keras_fpn.layers.dense_detections import DenseDetections
from keras_fpn.layers.detections import detections_spec
from keras_fpn.point_coder import PointCoder


@keras.saving.register_keras_serializable(package="keras_fpn")
class PointDetections(DenseDetections):
    """`DenseDetections` of points, whose scores also depend on their centerness.

    The score is the geometric mean of the probability of the class and the centerness.

    Source: Tian et al. 2019 (arXiv:1904.01355), Sec. 3.3; numbers and the square root
    as in torchvision.

    Args:
        score_threshold, nms_threshold, max_detections, pre_nms_top_k, coder,
            clip_first: as of `DenseDetections`.

    Call arguments:
        anchors, logits, deltas: as of `DenseDetections`.
        centerness: dict "P<l>" -> float (B, N_l), logits.
        image_sizes, score_threshold, max_detections: as of `DenseDetections`.

    Returns:
        dict, as returned by `Detections`.
    """

    def __init__(
        self,
        score_threshold: float = 0.2,
        nms_threshold: float = 0.6,
        max_detections: int = 100,
        pre_nms_top_k: int = 1000,
        coder: PointCoder = PointCoder(),  # noqa: B008  # it is frozen
        clip_first: bool = True,
        **kwargs,
    ):
        super().__init__(
            score_threshold,
            nms_threshold,
            max_detections,
            pre_nms_top_k,
            coder,
            clip_first,
            **kwargs,
        )

    def call(
        self,
        anchors,
        logits,
        deltas,
        centerness,
        image_sizes,
        score_threshold=None,
        max_detections=None,
    ):
        limits = self.limits(score_threshold, max_detections)
        return self.best(anchors, logits, deltas, image_sizes, limits, centerness)

    def compute_output_spec(
        self,
        anchors,
        logits,
        deltas,
        centerness,
        image_sizes,
        score_threshold=None,
        max_detections=None,
    ):
        rows = max_detections or self.max_detections
        return detections_spec(image_sizes.shape[0], rows)
