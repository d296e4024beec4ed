"""Small data sets on disk, written by hand: what the readers of each form meet."""

import json

import numpy as np
from PIL import ExifTags, Image


def write_photo(path, width=100, height=80, orientation=None):
    """Writes a grey photo; EXIF says the orientation if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (width, height), (90, 90, 90)).save(path, exif=exif)
    return path


def write(path, text):
    """Writes a text file and the folders above it, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(reader, *args, **kwargs):
    """Returns what a reader returns, and its report."""
    reports = []
    dataset = reader(*args, report=reports.append, **kwargs)
    assert len(reports) == 1
    return dataset, reports[0]


def boxes(dataset, photo=0):
    return dataset[photo].objects.boxes.tolist()


def coco_contents(annotations=(), images=None):
    """The dict of a COCO file of two 100x80 photos; annotations get ids from 1 on."""
    if images is None:
        images = [
            {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 9, "file_name": "b.jpg", "width": 100, "height": 80},
        ]
    filled = [
        {"id": i + 1, "image_id": 7, "category_id": 3, "iscrowd": 0, **annotation}
        for i, annotation in enumerate(annotations)
    ]
    categories = [{"id": 5, "name": "dog"}, {"id": 3, "name": "cat"}]
    return {"images": images, "annotations": filled, "categories": categories}


def write_coco_set(folder, annotations=(), images=None, **changes):
    """Writes such a COCO file with its photos a.jpg and b.jpg beside it."""
    for name in ("a.jpg", "b.jpg"):
        write_photo(folder / name)
    contents = coco_contents(annotations, images) | changes
    return write(folder / "set.json", json.dumps(contents))


def voc_object(box, name="cat", difficult=0):
    corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    numbers = "".join(f"<{corner}>{n}</{corner}>" for corner, n in corners)
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        f"<bndbox>{numbers}</bndbox></object>"
    )


def write_voc_photo(folder, stem, objects=(), size=(100, 80), photo=True):
    """Writes a VOC xml file and its photo."""
    width, height = size
    text = f"<size><width>{width}</width><height>{height}</height></size>"
    text += f"<filename>{stem}.jpg</filename>" + "".join(objects)
    write(folder / f"Annotations/{stem}.xml", f"<annotation>{text}</annotation>")
    if photo:
        write_photo(folder / f"JPEGImages/{stem}.jpg")
    return folder


def write_yolo_set(folder, labels, names="names: [cat, dog]\n", split="train"):
    """Writes photos and label files: a dict of stem -> lines, None for no file."""
    for stem, lines in labels.items():
        write_photo(folder / f"images/{split}/{stem}.jpg")
        if lines is not None:
            write(folder / f"labels/{split}/{stem}.txt", lines)
    return write(folder / "data.yaml", f"{split}: images/{split}\n{names}")


def disc(height, width, center, radius):
    """A round mask, bool (height, width)."""
    rows, columns = np.ogrid[:height, :width]
    return (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
