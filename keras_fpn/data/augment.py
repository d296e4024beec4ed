"""The augmentations: they move image, boxes, masks and keypoints of a sample together.

Each is a small frozen object, called with a sample and a generator; its result depends
on nothing else. See docs/augmentation.md.
"""

from keras_fpn.data.copy_paste import CopyPaste
from keras_fpn.data.flip import RandomFlip
from keras_fpn.data.photometric import Photometric
from keras_fpn.data.rescale import LargeScaleJitter, MultiScale
from keras_fpn.data.safe_crop import SafeCrop

__all__ = [
    "CopyPaste",
    "LargeScaleJitter",
    "MultiScale",
    "Photometric",
    "RandomFlip",
    "SafeCrop",
]
