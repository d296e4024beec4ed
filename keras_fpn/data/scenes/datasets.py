"""Scenes as samples, and as a data set in memory or as files."""

import dataclasses
import functools
import pathlib

import numpy as np
from PIL import Image

from keras_fpn.data.coco_writer import write_coco
from keras_fpn.data.dataset import Dataset, Objects, Photo
from keras_fpn.data.sample import load_sample
from keras_fpn.data.scenes.settings import CLASS_NAMES, SceneSettings
from keras_fpn.data.segments import label_image_objects
from keras_fpn.files import PathLike

_KEPT = 16  # last scenes: a thread needs the picture, then the objects


def scene(
    seed: int,
    index: int,
    size: tuple[int, int] = (320, 320),
    objects: tuple[int, int] = (8, 16),
    sides: tuple[float, float | None] = (8, None),
    masks: bool = True,
) -> dict:
    """Draws one scene.

    Args:
        seed, index, size, objects, sides: see `SceneSettings`.
        masks: bool, whether the sample has masks.

    Returns:
        dict, as `load_sample` returns it: "image", uint8 (H, W, 3); "boxes", float32
        (G, 4), around the visible part of each object; "labels", int32 (G,), indices
        into `CLASS_NAMES`; "is_crowd", bool (G,), all False; "image_id", int;
        "photo_size", (height, width); "masks", bool (G, H, W), the visible pixels.

    Raises:
        ValueError: an argument is out of its range, see `SceneSettings`.
    """
    return load_sample(_photo(SceneSettings(seed, index, size, objects, sides)), masks)


def scene_dataset(
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (320, 320),
    objects: tuple[int, int] = (8, 16),
    sides: tuple[float, float | None] = (8, None),
) -> Dataset:
    """Returns scenes as a data set without files: each is drawn when it is used.

    A photo's path is a `ScenePicture`, which `read_photo` accepts like a path; its
    objects are computed on first use, and kept.

    Args:
        count: int, number of scenes, 0 or more.
        seed, size, objects, sides: see `SceneSettings`.

    Returns:
        Dataset; category ids count from 1.

    Raises:
        ValueError: count is negative or no integer, or `SceneSettings` raises.
    """
    if count < 0:
        raise ValueError(
            f"count must be an integer of 0 or more; received count={count}."
        )
    return Dataset(
        photos=tuple(
            _photo(SceneSettings(seed, index, size, objects, sides))
            for index in range(count)
        ),
        class_names=CLASS_NAMES,
        category_ids=tuple(range(1, len(CLASS_NAMES) + 1)),
        name=f"scenes of seed {seed}",
    )


def write_scenes(
    folder: PathLike,
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (320, 320),
    objects: tuple[int, int] = (8, 16),
    sides: tuple[float, float | None] = (8, None),
    suffix: str = ".png",
) -> pathlib.Path:
    """Writes scenes as a COCO data set: `images` and `instances.json` in a folder.

    Masks are stored as run lengths, exactly; PNG keeps the pixels exact too.

    Args:
        folder: str or Path; created if missing. Existing files are replaced.
        count, seed, size, objects, sides: see `scene_dataset`.
        suffix: str, ".png", or ".jpg" for smaller files.

    Returns:
        pathlib.Path of the json file, for `read_coco`.

    Raises:
        ValueError: the suffix is another, or `scene_dataset` raises.
    """
    if suffix not in (".png", ".jpg"):
        raise ValueError(f"suffix must be .png or .jpg; received suffix={suffix!r}.")
    images = pathlib.Path(folder) / "images"
    dataset = scene_dataset(count, seed, size, objects, sides)
    images.mkdir(parents=True, exist_ok=True)
    photos = []
    for photo in dataset.photos:
        path = (images / photo.path.name).with_suffix(suffix)
        _save(Image.fromarray(np.asarray(photo.path)), path)
        found = photo.objects[:]  # while the scene is still cached
        photos.append(dataclasses.replace(photo, path=path, objects=found))
    annotations = pathlib.Path(folder) / "instances.json"
    write_coco(dataclasses.replace(dataset, photos=tuple(photos)), annotations)
    return annotations


def _save(image, path):
    """Writes a PIL image with little loss and little time."""
    if path.suffix == ".png":
        image.save(path, compress_level=1)  # higher levels take longer and save little
    else:
        image.save(path, quality=95, subsampling=0)


def _photo(settings):
    """Returns the Photo of a scene."""
    height, width = settings.size
    return Photo(
        image_id=settings.image_id,
        path=ScenePicture(settings),  # type: ignore[arg-type]  # stands for a path
        height=height,
        width=width,
        objects=SceneObjects(settings),
    )


class ScenePicture:
    """Takes the place of a file in `Photo.path`; `read_photo` reads its pixels.

    Attributes:
        settings: SceneSettings.
        name: str, the name that its file would have.
    """

    def __init__(self, settings):
        self.settings = settings
        self.name = f"{settings.image_id:06d}.png"

    def __array__(self, dtype=None, copy=None):
        return _drawn(self.settings).pixels.astype(dtype or np.uint8)  # always a copy

    def __str__(self):
        return f"scene {self.settings.index} of seed {self.settings.seed}"

    def __repr__(self):
        return f"ScenePicture({self.settings})"


class SceneObjects(Objects):
    """The Objects of one scene, computed on first use and then kept.

    Args:
        settings: SceneSettings.
    """

    settings: SceneSettings

    def __init__(self, settings):
        object.__setattr__(self, "settings", settings)

    @functools.cached_property
    def _found(self):
        drawn = _drawn(self.settings)
        boxes, segments = label_image_objects(drawn.owner + 1)
        is_crowd = np.zeros(len(boxes), bool)
        return Objects(boxes, drawn.labels, is_crowd, tuple(segments))

    boxes = property(lambda self: self._found.boxes)
    labels = property(lambda self: self._found.labels)
    is_crowd = property(lambda self: self._found.is_crowd)
    segments = property(lambda self: self._found.segments)


@functools.lru_cache(maxsize=_KEPT)
def _drawn(settings):
    """Returns a Drawn scene; its arrays are shared and must not be changed."""
    return settings.draw()
