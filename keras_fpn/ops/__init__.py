"""Kernels: suppression, resampling and deformable convolution.

Each has a portable form in `keras.ops`; `keras_fpn.ops.kernels` chooses between that
and a backend's native form.
"""

from keras_fpn.ops.deform_conv import deform_conv
from keras_fpn.ops.nms import KeptBoxes, grouped_nms
from keras_fpn.ops.roi_align import roi_align

__all__ = ["KeptBoxes", "deform_conv", "grouped_nms", "roi_align"]
