"""Which photos a command reads, which numbers and names its results get."""

from pathlib import Path

from keras_fpn.cli.errors import CommandError

PHOTO_SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jpe .jpeg .jpg .mpo .png .ppm .tif .tiff .webp".split()
)
SAMPLE = "coffee.jpg"


def find_photos(paths):
    """Returns the photos that files and folders name, list of Path, each once.

    Files are taken whatever their name; of a folder, the files with an image's suffix,
    sorted by name, without hidden ones and without those in folders below.

    Args:
        paths: list of str or Path.

    Raises:
        CommandError: a path does not exist, or a folder holds no image file.
    """
    photos = {}
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if _is_photo(file))
            if not found:
                raise CommandError(
                    f"A folder must hold image files; received {str(path)!r}, with "
                    f"none that ends in {', '.join(sorted(PHOTO_SUFFIXES))}."
                )
        elif path.exists():
            found = [path]
        else:
            raise CommandError(
                "A photo must be an existing file or folder; received "
                f"{str(path)!r}, which does not exist."
            )
        photos.update({photo.resolve(): photo for photo in found})
    return list(photos.values())


def sample_photo(preset=None):
    """Returns the Path of the picture that comes with the package.

    Args:
        preset: str, name of a preset: the one on which it has something to find; or
            None.
    """
    from keras_fpn.weights.shipped import SHIPPED

    shipped = SHIPPED.get(preset)
    name = shipped.sample if shipped and shipped.sample else SAMPLE
    return Path(__file__).resolve().parents[1] / "samples" / name


def image_ids(photos):
    """Returns an int for each photo, as COCO's files number images.

    The numbers in the names, if all photos are named by different whole numbers, as
    COCO's are ("000000000139.jpg" is 139); otherwise 1, 2, ... in order.
    """
    stems = [photo.stem for photo in photos]
    if all(stem.isascii() and stem.isdigit() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(photos) + 1))


def picture_paths(photos, folder):
    """Returns where each photo's picture goes: list of different Paths in the folder.

    A PNG's picture is a PNG, any other's a JPEG. Photos of one name get "_2", "_3", ...
    behind it, and so does a picture that would overwrite one of the photos.
    """
    originals = {photo.resolve() for photo in photos}
    taken = set()
    paths = []
    for photo in photos:
        suffix = ".png" if photo.suffix.lower() == ".png" else ".jpg"
        stem, count = photo.stem, 1
        path = folder / f"{stem}{suffix}"
        while stem.lower() in taken or path.resolve() in originals:
            count += 1
            stem = f"{photo.stem}_{count}"
            path = folder / f"{stem}{suffix}"
        taken.add(stem.lower())
        paths.append(path)
    return paths


def _is_photo(path):
    hidden = path.name.startswith(".")
    return path.suffix.lower() in PHOTO_SUFFIXES and not hidden and path.is_file()
