"""Kernels: suppression and resampling, each with a portable form in `keras.ops`."""

from keras_fpn.ops.nms import grouped_nms
from keras_fpn.ops.roi_align import roi_align

__all__ = ["grouped_nms", "roi_align"]
