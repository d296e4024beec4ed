"""Data sets in the layouts in which tools export them and tutorials keep them.

Each photo shows a cat in the box 10, 20, 40, 60. The photos a, b, c are to train on, d
and e to measure on, f is the test's, if the layout has a split for it.
"""

import json
import pathlib

from data.tiny_sets import voc_object, write, write_photo, write_voc_photo

SPLITS = {"train": "abc", "valid": "de", "test": "f"}
BOX = 10, 20, 40, 60
BBOX = [10, 20, 30, 40]
YOLO = "0 0.25 0.5 0.3 0.5\n"
ROW = "10,20,40,60,cat"
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
POINTS = [[10, 20], [40, 20], [40, 60], [10, 60]]


def coco(names, categories=({"id": 1, "name": "cat"},)):
    """The text of a COCO file of photos with these names."""
    images = [
        {"id": i, "file_name": name, "width": 100, "height": 80}
        for i, name in enumerate(names)
    ]
    annotations = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": BBOX, "iscrowd": 0}
        for i in range(len(names))
    ]
    contents = {"images": images, "categories": list(categories)}
    return json.dumps(contents | {"annotations": annotations})


def labelme(stem, shapes=None):
    """The text of labelme's file of one photo."""
    if shapes is None:
        shapes = [shape("cat", POINTS)]
    contents = {"version": "5.2.1", "flags": {}, "shapes": shapes}
    contents |= {"imagePath": f"{stem}.jpg", "imageData": None}
    return json.dumps(contents | {"imageHeight": 80, "imageWidth": 100})


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def cvat(images, names=("cat",)):
    """The text of CVAT's file of these elements."""
    labels = "".join(f"<label><name>{name}</name></label>" for name in names)
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
        f"{meta}{''.join(images)}</annotations>"
    )


def cvat_image(stem, shapes=None, subset=None):
    if shapes is None:
        shapes = '<box label="cat" occluded="0" xtl="10" ytl="20" xbr="40" ybr="60"/>'
    more = "" if subset is None else f' subset="{subset}"'
    head = f'<image id="1" name="{stem}.jpg" width="100" height="80"{more}>'
    return f"{head}{shapes}</image>"


def roboflow_name(stem):
    return f"{stem}_jpg.rf.{stem * 8}.jpg"


def roboflow_coco(root):
    categories = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "animals"},
    ]
    for split, stems in SPLITS.items():
        names = [roboflow_name(stem) for stem in stems]
        for name in names:
            write_photo(root / split / name)
        write(root / split / "_annotations.coco.json", coco(names, categories))
    write(root / "README.roboflow.txt", "words")
    return root


def roboflow_voc(root):
    for split, stems in SPLITS.items():
        for stem in stems:
            write_photo(root / split / f"{stem}.jpg")
            inner = f"<filename>{stem}.jpg</filename>{voc_object((11, 21, 40, 60))}"
            text = f"<annotation>{inner}</annotation>"
            write(root / split / f"{stem}.xml", text)
    return root


def csv_files(root):
    for split, stems in SPLITS.items():
        for stem in stems:
            write_photo(root / "images" / f"{stem}.jpg")
        rows = [f"{stem}.jpg,{ROW}\n" for stem in stems]
        write(root / f"{split}.csv", "".join(rows))
    return root


def csv_folders(root):
    for split, stems in SPLITS.items():
        for stem in stems:
            write_photo(root / split / f"{stem}.jpg")
        rows = [f"{stem}.jpg,100,80,cat,10,20,40,60\n" for stem in stems]
        write(root / split / "_annotations.csv", HEADER + "".join(rows))
    return root


def vocdevkit(root):
    """VOC2012 has no test, and both years have a photo to train on and one for val."""
    root = root / "VOCdevkit"
    years = {"VOC2007": {"train": "ab", "val": "d", "test": "f"}}
    years["VOC2012"] = {"train": "c", "val": "e"}
    for year, splits in years.items():
        for split, stems in splits.items():
            for stem in stems:
                write_voc_photo(root / year, stem, [voc_object((11, 21, 40, 60))])
            lists = root / year / "ImageSets/Main"
            write(lists / f"{split}.txt", "\n".join(stems))
            write(lists / f"cat_{split}.txt", "\n".join(f"{one} 1" for one in stems))
        both = "\n".join(splits["train"] + splits["val"])
        write(root / year / "ImageSets/Main/trainval.txt", both)
    return root


def coco_annotations(root):
    for split, stems in SPLITS.items():
        for stem in stems:
            write_photo(root / split / f"{stem}.jpg")
        text = coco([f"{stem}.jpg" for stem in stems])
        write(root / f"annotations/instances_{split}.json", text)
    return root


def labelme_folders(root):
    for split, stems in {"training": "abc", "validation": "de"}.items():
        for stem in stems:
            write_photo(root / split / f"{stem}.jpg")
            write(root / split / f"{stem}.json", labelme(stem))
    return root


def labelme_one(root):
    for stem in "abcde":
        write_photo(root / f"{stem}.jpg")
        write(root / f"{stem}.json", labelme(stem))
    return root


def cvat_project(root):
    images = []
    for subset, stems in {"Train": "abc", "Validation": "de", "Test": "f"}.items():
        for stem in stems:
            write_photo(root / "images" / subset / f"{stem}.jpg")
            images.append(cvat_image(stem, subset=subset))
    write(root / "annotations.xml", cvat(images))
    return root


def cvat_task(root):
    for stem in "abcde":
        write_photo(root / "images" / f"{stem}.jpg")
    write(root / "annotations.xml", cvat([cvat_image(stem) for stem in "abcde"]))
    return root


def label_studio(root):
    for stem in "abcde":
        write_photo(root / f"images/0f-{stem}.jpg")
        write(root / f"labels/0f-{stem}.txt", YOLO)
    write(root / "classes.txt", "cat\n")
    notes = {"categories": [{"id": 0, "name": "cat"}], "info": {"year": 2024}}
    write(root / "notes.json", json.dumps(notes, indent=2))
    return root


def tensorflow(root):
    """The tutorial's: the photos of a CSV in annotations/ are below images/."""
    for split, stems in {"train": "abcde", "test": "f"}.items():
        for stem in stems:
            write_photo(root / f"images/{split}/{stem}.jpg")
        rows = [f"{stem}.jpg,100,80,cat,10,20,40,60\n" for stem in stems]
        write(root / f"annotations/{split}_labels.csv", HEADER + "".join(rows))
    return root


def tensorflow_beside(root):
    """Another form of it: the CSVs are beside the folders of the photos."""
    tensorflow(root)
    for file in (root / "annotations").iterdir():
        file.rename(root / "images" / file.name)
    (root / "annotations").rmdir()
    return root / "images"


def fizyr(root):
    for split, stems in {"train": "abc", "val": "de"}.items():
        for stem in stems:
            write_photo(root / f"photos/{stem}.jpg")
        rows = [f"photos/{stem}.jpg,{ROW}\n" for stem in stems]
        write(root / f"{split}.csv", "".join(rows))
    write(root / "classes.csv", "yak,0\ncat,1\n")
    return root


def yolo_elsewhere(root):
    for split, stems in {"train": "abc", "valid": "de"}.items():
        for stem in stems:
            write_photo(root / split / f"images/{stem}.jpg")
            write(root / split / f"labels/{stem}.txt", YOLO)
    entries = "train: /content/ds-1/train/images\nval: C:\\ds\\valid\\images\n"
    write(root / "data.yaml", f"path: /content/ds-1\n{entries}names: [cat]\n")
    return root


# Each with how many photos are in train, and val; None: they are held out.
LAYOUTS = {
    maker: sizes
    for sizes, makers in {
        (3, 2): (
            roboflow_coco,
            roboflow_voc,
            csv_files,
            csv_folders,
            vocdevkit,
            coco_annotations,
            labelme_folders,
            cvat_project,
            fizyr,
            yolo_elsewhere,
        ),
        (5, None): (
            labelme_one,
            cvat_task,
            label_studio,
            tensorflow,
            tensorflow_beside,
        ),
    }.items()
    for maker in makers
}


def stem_of(path):
    """The letter of a photo."""
    return pathlib.Path(path).name.split("_jpg.rf.")[0].removesuffix(".jpg")[-1]
