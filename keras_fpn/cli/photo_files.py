"""Which photos a command reads, which numbers and names its results get."""

from pathlib import Path

from keras_fpn.cli.errors import CommandError

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
            from keras_fpn.data.image_files import PHOTO_SUFFIXES, is_photo

            found = sorted(f for f in path.iterdir() if is_photo(f) and f.is_file())
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
