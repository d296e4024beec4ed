"""Turns the predictions of FCOS into the final boxes."""

import keras

from keras_fpn.layers.dense_detections import DenseDetections
from keras_fpn.point_coder import PointCoder

POINT_CODER = PointCoder()


@keras.saving.register_keras_serializable(package="keras_fpn")
class PointDetections(DenseDetections):
    """`DenseDetections` with the numbers of FCOS, to be called with the centerness.

    Source: Tian et al. 2019 (arXiv:1904.01355), Sec. 3.3; numbers, and the square root
    of the product of both probabilities, as in torchvision.

    Args:
        score_threshold, nms_threshold, max_detections, pre_nms_top_k, clip_first: as of
            `DenseDetections`.
        coder: `PointCoder` that decodes the distances.
    """

    def __init__(
        self,
        score_threshold: float = 0.2,
        nms_threshold: float = 0.6,
        max_detections: int = 100,
        pre_nms_top_k: int = 1000,
        coder: PointCoder = POINT_CODER,
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
