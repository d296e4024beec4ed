"""Scenes as a data set, without files or as files."""

import dataclasses
import functools
import pathlib

import numpy as np
from PIL import Image

from keras_fpn.data.coco_writer import write_coco
from keras_fpn.data.dataset import Dataset, Objects, Photo
from keras_fpn.data.scenes.recipe import CLASS_NAMES, Recipe
from keras_fpn.data.segments import label_image_objects

_KEPT = 16  # scenes last drawn: a thread wants the picture, then the objects


def scene_dataset(
    count, seed=0, size=(320, 320), objects=(8, 16), sides=(8, None), first=0
):
    """Returns scenes as a data set that needs no files: each is drawn when used.

    A photo's path is a `ScenePicture`, which `read_photo` takes as it takes a path; its
    objects are found when they are first asked for, and kept.

    Args:
        count: int, how many scenes, 0 or more.
        seed, size, objects, sides: see `Recipe`.
        first: int, the index of the first scene, for another part of a seed's scenes.

    Returns:
        Dataset; category ids count from 1.

    Raises:
        ValueError: count is no such number, or another is not as `Recipe` says.
    """
    if count < 0:
        raise ValueError(f"There must be 0 or more scenes; received count={count}.")
    recipes = [
        Recipe(seed, index, size, objects, sides)
        for index in range(first, first + count)
    ]
    return Dataset(
        photos=tuple(map(_photo, recipes)),
        class_names=CLASS_NAMES,
        category_ids=tuple(range(1, len(CLASS_NAMES) + 1)),
        name=f"scenes of seed {seed}",
    )


def write_scenes(
    folder,
    count,
    seed=0,
    size=(320, 320),
    objects=(8, 16),
    sides=(8, None),
    suffix=".png",
):
    """Writes scenes as a COCO data set: `images` and `instances.json` in a folder.

    The masks are run lengths, equal to what is drawn; PNG keeps the pixels too.

    Args:
        folder: str or Path; it is made. Files of the same names are written over.
        count, seed, size, objects, sides: see `scene_dataset`.
        suffix: str, ".png", or ".jpg" for smaller files.

    Returns:
        pathlib.Path of the json file, for `read_coco`.

    Raises:
        ValueError: the suffix is another, or what `scene_dataset` raises.
    """
    if suffix not in (".png", ".jpg"):
        raise ValueError(
            f"Scenes are written as .png or .jpg; received suffix={suffix!r}."
        )
    images = pathlib.Path(folder) / "images"
    dataset = scene_dataset(count, seed, size, objects, sides)
    images.mkdir(parents=True, exist_ok=True)
    photos = []
    for photo in dataset.photos:
        path = (images / photo.path.name).with_suffix(suffix)
        _save(Image.fromarray(np.asarray(photo.path)), path)
        found = photo.objects[:]  # now, while the scene is kept
        photos.append(dataclasses.replace(photo, path=path, objects=found))
    annotations = pathlib.Path(folder) / "instances.json"
    write_coco(dataclasses.replace(dataset, photos=tuple(photos)), annotations)
    return annotations


def _save(image, path):
    """Writes a PIL image of noise and fine details."""
    if path.suffix == ".png":
        image.save(path, compress_level=1)  # the others take longer and save little
    else:
        image.save(path, quality=95, subsampling=0)


def _photo(recipe):
    """Returns a scene's Photo."""
    height, width = recipe.size
    return Photo(
        image_id=recipe.image_id,
        path=ScenePicture(recipe),  # type: ignore[arg-type]  # stands for a path
        height=height,
        width=width,
        objects=SceneObjects(recipe),
    )


class ScenePicture:
    """Stands for a file in `Photo.path`: `read_photo` gets the drawn pixels from it.

    Attributes:
        recipe: Recipe.
        name: str, the name that its file would have.
    """

    def __init__(self, recipe):
        self.recipe = recipe
        self.name = f"{recipe.image_id:06d}.png"

    def __array__(self, dtype=None, copy=None):
        return _drawn(self.recipe).pixels.astype(dtype or np.uint8)  # always a copy

    def __str__(self):
        return f"scene {self.recipe.index} of seed {self.recipe.seed}"

    def __repr__(self):
        return f"ScenePicture({self.recipe})"


class SceneObjects(Objects):
    """The Objects of one scene, found when they are first asked for, and kept.

    Args:
        recipe: Recipe.
    """

    recipe: Recipe

    def __init__(self, recipe):
        object.__setattr__(self, "recipe", recipe)

    @functools.cached_property
    def _found(self):
        drawn = _drawn(self.recipe)
        boxes, segments = label_image_objects(drawn.owner + 1)
        is_crowd = np.zeros(len(boxes), bool)
        return Objects(boxes, drawn.labels, is_crowd, tuple(segments))

    boxes = property(lambda self: self._found.boxes)
    labels = property(lambda self: self._found.labels)
    is_crowd = property(lambda self: self._found.is_crowd)
    segments = property(lambda self: self._found.segments)


@functools.lru_cache(maxsize=_KEPT)
def _drawn(recipe):
    """Returns a Recipe's Drawn scene; its arrays are shared, nobody writes to them."""
    return recipe.draw()
