"""Generated scenes with objects of very different scales, with boxes and masks.

Eight classes in four pairs that differ only in a fine detail, from 8 pixels to most of
the picture in size, overlapping each other and clutter, on textured backgrounds. A
scene depends only on (seed, index), to the bit: no fonts, no drawing library. The
textures, and the clutter, are stuff for semantic and panoptic models.
"""

from keras_fpn.data.scenes.datasets import scene, scene_dataset, write_scenes
from keras_fpn.data.scenes.settings import CLASS_NAMES, STUFF_NAMES, SceneSettings

__all__ = [
    "CLASS_NAMES",
    "STUFF_NAMES",
    "SceneSettings",
    "scene",
    "scene_dataset",
    "write_scenes",
]
