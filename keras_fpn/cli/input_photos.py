"""The photos that a command line names."""

from pathlib import Path

from keras_fpn.cli.errors import CommandError

SAMPLE = "coffee.jpg"


def photos_named(paths):
    """Returns the photos that files and folders name, each once.

    Files are taken whatever their name. Of a folder, the files with the suffix of an
    image are taken, sorted by name, without hidden ones and without subfolders.

    Args:
        paths: list of str or Path.

    Returns:
        list of Path.

    Raises:
        CommandError: a path does not exist, or a folder holds no image file.
    """
    from keras_fpn.data.image_files import PHOTO_SUFFIXES, is_photo

    photos = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(path.iterdir())
            found = [file for file in files if is_photo(file) and file.is_file()]
            if not found:
                raise CommandError(
                    f"A folder must hold image files; received {str(path)!r}, where no "
                    f"file ends in {', '.join(sorted(PHOTO_SUFFIXES))}."
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


def sample_photo(preset: str | None = None):
    """Returns the Path of a picture that comes with the package.

    Args:
        preset: name of a preset that is to find something in it, or None.
    """
    from keras_fpn.weights import SHIPPED

    shipped = SHIPPED.get(preset or "")
    name = shipped.sample if shipped and shipped.sample else SAMPLE
    return Path(__file__).resolve().parents[1] / "samples" / name
