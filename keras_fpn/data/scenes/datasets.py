"""Scenes as samples, and as a data set in memory or as files."""

import dataclasses
import functools
import pathlib

import numpy as np
from PIL import Image

from keras_fpn.data.coco_writer import write_coco
from keras_fpn.data.dataset import Dataset, Objects, Photo
from keras_fpn.data.panoptic_writer import write_panoptic
from keras_fpn.data.sample import load_sample
from keras_fpn.data.scenes.settings import CLASS_NAMES, STUFF_NAMES, SceneSettings
from keras_fpn.data.segments import label_image_objects
from keras_fpn.files import PathLike, write_image

INSTANCES, PANOPTIC = "instances.json", "panoptic.json"
_STUFF_IDS = tuple(range(101, 101 + len(STUFF_NAMES)))
_KEPT = 16  # last scenes: a thread needs the picture, then the objects


def scene(
    seed: int,
    index: int,
    size: tuple[int, int] = (320, 320),
    objects: tuple[int, int] = (8, 16),
    sides: tuple[float, float | None] = (8, None),
    masks: bool = True,
    stuff: bool = False,
) -> dict:
    """Draws one scene.

    Args:
        seed, index, size, objects, sides: see `SceneSettings`.
        masks: bool, whether the sample has masks.
        stuff: bool, whether the sample has a semantic map.

    Returns:
        dict, as `load_sample` returns it: "image", uint8 (H, W, 3); "boxes", float32
        (G, 4), around the visible part of each object; "labels", int32 (G,), indices
        into `CLASS_NAMES`; "is_crowd", bool (G,), all False; "image_id", int;
        "photo_size", (height, width); "masks", bool (G, H, W), the visible pixels;
        "semantic_map", uint8 (H, W), 0 for an object, 1 + an index into `STUFF_NAMES`.

    Raises:
        ValueError: an argument is out of its range, see `SceneSettings`.
    """
    photo = _photo(SceneSettings(seed, index, size, objects, sides), stuff)
    return load_sample(photo, masks, stuff)


def scene_dataset(
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (320, 320),
    objects: tuple[int, int] = (8, 16),
    sides: tuple[float, float | None] = (8, None),
    stuff: bool = False,
) -> Dataset:
    """Returns scenes as a data set without files: each is drawn when it is used.

    A photo's path is a `ScenePicture`, which `read_photo` accepts like a path; its
    objects are computed on first use, and kept.

    Args:
        count: int, number of scenes, 0 or more.
        seed, size, objects, sides: see `SceneSettings`.
        stuff: bool, whether the data set is panoptic, with `STUFF_NAMES`; the pictures
            are the same.

    Returns:
        Dataset; category ids count from 1, those of stuff from 101.

    Raises:
        ValueError: count is negative or no integer, or `SceneSettings` raises.
    """
    if count < 0:
        raise ValueError(
            f"count must be an integer of 0 or more; received count={count}."
        )
    return Dataset(
        photos=tuple(
            _photo(SceneSettings(seed, index, size, objects, sides), stuff)
            for index in range(count)
        ),
        class_names=CLASS_NAMES,
        category_ids=tuple(range(1, len(CLASS_NAMES) + 1)),
        name=f"scenes of seed {seed}",
        stuff_names=STUFF_NAMES if stuff else (),
        stuff_ids=_STUFF_IDS if stuff else (),
    )


def write_scenes(
    folder: PathLike,
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (320, 320),
    objects: tuple[int, int] = (8, 16),
    sides: tuple[float, float | None] = (8, None),
    suffix: str = ".png",
    stuff: bool = False,
) -> pathlib.Path:
    """Writes scenes as a COCO data set: `images` and `instances.json` in a folder.

    Masks are stored as run lengths, exactly; PNG keeps the pixels exact too. With
    stuff, `panoptic.json` and the folder `panoptic` of PNGs are written instead.

    Args:
        folder: str or Path; created if missing. Existing files are replaced.
        count, seed, size, objects, sides: see `scene_dataset`.
        suffix: str, ".png", or ".jpg" for smaller files.
        stuff: bool, whether to write a COCO panoptic data set.

    Returns:
        pathlib.Path of the json file, for `read_coco` or `read_coco_panoptic`.

    Raises:
        ValueError: the suffix is another, or `scene_dataset` raises.
    """
    if suffix not in (".png", ".jpg"):
        raise ValueError(f"suffix must be .png or .jpg; received suffix={suffix!r}.")
    images = pathlib.Path(folder) / "images"
    dataset = scene_dataset(count, seed, size, objects, sides, stuff)
    images.mkdir(parents=True, exist_ok=True)
    photos = []
    for photo in dataset.photos:
        path = (images / photo.path.name).with_suffix(suffix)
        _save(Image.fromarray(np.asarray(photo.path)), path)
        found = photo.objects[:]  # while the scene is still cached
        photos.append(dataclasses.replace(photo, path=path, objects=found))
    written = dataclasses.replace(dataset, photos=tuple(photos))
    annotations = pathlib.Path(folder) / (PANOPTIC if stuff else INSTANCES)
    (write_panoptic if stuff else write_coco)(written, annotations)
    return annotations


def _save(image, path):
    """Writes a PIL image with little loss and little time."""
    if path.suffix == ".png":
        encoding = {"format": "PNG", "compress_level": 1}  # more saves little
    else:
        encoding = {"format": "JPEG", "quality": 95, "subsampling": 0}
    write_image(image, path, sync=False, **encoding)


def _photo(settings, stuff):
    """Returns the Photo of a scene, with pixel labels if `stuff` is True."""
    height, width = settings.size
    return Photo(
        image_id=settings.image_id,
        path=ScenePicture(settings),  # type: ignore[arg-type]  # stands for a path
        height=height,
        width=width,
        objects=SceneObjects(settings),
        pixel_labels=ScenePixels(settings) if stuff else None,
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


@dataclasses.dataclass(frozen=True)
class ScenePixels:
    """The pixel labels of one scene; see `keras_fpn.data.pixel_labels`.

    Args:
        settings: SceneSettings.
    """

    settings: SceneSettings
    path = None

    def semantic_map(self, size):
        """Returns uint8 (H, W), 0 for an object, 1 + an index into `STUFF_NAMES`."""
        drawn = _drawn(self.settings)
        return np.where(drawn.owner >= 0, np.uint8(0), drawn.stuff + np.uint8(1))

    def panoptic_map(self, size):
        """Returns int32 (H, W) and its segments: the objects in order, then stuff."""
        drawn = _drawn(self.settings)
        count = len(drawn.labels)
        stuff = count + 1 + drawn.stuff.astype(np.int32)
        numbers = np.where(drawn.owner >= 0, drawn.owner + 1, stuff).astype(np.int32)
        kinds = np.unique(drawn.stuff[drawn.owner < 0]).tolist()
        segments = [
            {"id": row + 1, "label": label, "isthing": True, "iscrowd": False}
            for row, label in enumerate(drawn.labels)
        ]
        segments += [
            {"id": count + 1 + kind, "label": kind, "isthing": False, "iscrowd": False}
            for kind in kinds
        ]
        return numbers, segments

    def signature(self):
        """Returns bytes of the settings."""
        return repr(self.settings).encode()


@functools.lru_cache(maxsize=_KEPT)
def _drawn(settings):
    """Returns a Drawn scene; its arrays are shared and must not be changed."""
    return settings.draw()
