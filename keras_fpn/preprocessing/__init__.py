"""From a photo to the model's inputs, and from the model's boxes back to the photo.

A photo is uint8 (H, W, 3), RGB, upright. The model takes float32 (B, H, W, 3), 0..255,
resized and padded at the right and bottom; it normalizes the pixels itself, because
the padding must be zero after normalization. NumPy and Pillow only.
"""

from keras_fpn.preprocessing.batch import Preprocessing
from keras_fpn.preprocessing.photo import read_photo
from keras_fpn.preprocessing.proposals import checked_proposals, proposal_batch
from keras_fpn.preprocessing.resize import (
    boxes_to_photo,
    points_to_photo,
    resize,
    resized_size,
    scaled_boxes,
)

__all__ = [
    "Preprocessing",
    "boxes_to_photo",
    "checked_proposals",
    "points_to_photo",
    "proposal_batch",
    "read_photo",
    "resize",
    "resized_size",
    "scaled_boxes",
]
