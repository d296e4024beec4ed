"""Generated scenes that stress scale, with boxes and masks, in any number.

Eight classes in four pairs that only a fine detail tells apart, at 8 pixels to most of
the picture, over and under each other and clutter, on textured grounds. A scene is a
function of (seed, index) alone, to the bit: no fonts, no drawing library.
"""

from keras_fpn.data.scenes.datasets import scene_dataset, write_scenes
from keras_fpn.data.scenes.recipe import CLASS_NAMES, Recipe, scene

__all__ = ["CLASS_NAMES", "Recipe", "scene", "scene_dataset", "write_scenes"]
