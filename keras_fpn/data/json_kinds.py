"""Tells json files of annotations apart by their ends, without parsing them."""

import pathlib

COCO, PANOPTIC, LABELME = "coco", "COCO panoptic", "labelme"
_READ = 65536  # bytes at either end


def json_kind(file: pathlib.Path) -> str | None:
    """Returns `COCO`, `PANOPTIC`, `LABELME`, or None for what looks like none of them.

    Raises:
        OSError: the file cannot be read.
    """
    if not file.is_file():  # but a pipe, or a link to nothing
        return None
    size = file.stat().st_size
    with open(file, "rb") as stream:
        text = stream.read(_READ)
        if size > _READ:
            stream.seek(max(_READ, size - _READ))
            text += stream.read()
    if text.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] != b"{":
        return None
    if b'"segments_info"' in text:
        return PANOPTIC
    if b'"shapes"' in text and (b'"imagePath"' in text or b'"imageHeight"' in text):
        return LABELME
    signs = [b'"images"']
    if size > 2 * _READ:  # what is in the middle was not read
        signs += [b'"annotations"', b'"categories"']
    return COCO if any(sign in text for sign in signs) else None


def json_files(folder: pathlib.Path, kind: str) -> list[pathlib.Path]:
    """Returns the files of a kind in a folder and its annotations/, sorted Paths."""
    return [
        file
        for place in (folder, folder / "annotations")
        for file in sorted(place.glob("*.json"))
        if json_kind(file) == kind
    ]
