"""Kernels: suppression and resampling, each with a portable form in `keras.ops`.

`keras_fpn.ops.kernels` chooses between that and a backend's native form.
"""

from keras_fpn.ops.nms import KeptBoxes, grouped_nms
from keras_fpn.ops.roi_align import roi_align

__all__ = ["KeptBoxes", "grouped_nms", "roi_align"]
