"""What is fuzzed: a sound file of each kind, and how it is read."""

import contextlib
import io
import json
import pathlib
import pickle
import warnings
import zipfile

import keras
import numpy as np
from data.tiny_layouts import BBOX, cvat, cvat_image, labelme
from data.tiny_panoptic import SIZE, ids_of_a, write_panoptic_set
from data.tiny_sets import voc_object, write
from fuzz.command_targets import command_targets
from fuzz.request_targets import request_targets
from fuzz.target import Target
from PIL import Image
from video.clips import write_clip
from weights.torch_files import named, storage, tensor, write_legacy, write_zip

import keras_fpn.data as data
from keras_fpn.data.coco_writer import coco_dict
from keras_fpn.data.image_files import read_headers
from keras_fpn.data.masks import segment_mask
from keras_fpn.metrics.check import KINDS, checked_ground_truth
from keras_fpn.models.checkpoints import load_keras_file
from keras_fpn.preprocessing import read_photo
from keras_fpn.training.checkpoints import read_state
from keras_fpn.training.run_folder import RunFolder
from keras_fpn.video import VideoWriter, open_video
from keras_fpn.weights import read_torch
from keras_fpn.weights.array_pickle import read_array_pickle
from keras_fpn.weights.keras_files import load_weights_file

SCENES = pathlib.Path(data.__file__).parent.parent / "weights"
SETTINGS = {"seed": 3}


def prepare(folder):
    """Writes what the fuzzed files refer to."""
    for name in ("a.jpg", "b.jpg", "images/a.jpg", "JPEGImages/a.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(photo("JPEG"))
    for name in ("images/b.jpg", "yolo/images/a.jpg", "yolo/images/b.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photo("JPEG"))
    for name in ("labels/a.txt", "yolo/labels/b.txt"):
        write(folder / name, "0 0.25 0.5 0.3 0.5\n")
    write(folder / "yolo/data.yaml", "train: images\nnames: [cat, dog]\n")
    for name in ("panoptic", "pngs"):
        (folder / name).mkdir(exist_ok=True)
        write_panoptic_set(folder / name)
    (folder / "numbered/images").mkdir(parents=True, exist_ok=True)
    (folder / "numbered/images/a.jpg").write_bytes(photo("JPEG"))


def photo(kind, **options):
    pixels = np.arange(80 * 100 * 3, dtype=np.uint32).reshape(80, 100, 3) * 7 // 11
    content = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(content, kind, **options)
    return content.getvalue()


def coco():
    polygon = [[10, 20, 40, 20, 40, 60, 10, 60]]
    runs = {"size": [80, 100], "counts": [4000, 800, 3200]}
    text = {"size": [80, 100], "counts": "Pm3`T10"}
    rows = [
        {"bbox": BBOX, "segmentation": polygon, "keypoints": [20, 30, 2, 0, 0, 0]},
        {"bbox": BBOX, "segmentation": runs, "iscrowd": 1},
        {"bbox": BBOX, "segmentation": text, "iscrowd": 0, "area": 12.5},
    ]
    images = [
        {"id": 7 + i, "file_name": name, "width": 100, "height": 80}
        for i, name in enumerate(("a.jpg", "b.jpg"))
    ]
    points = {"keypoints": ["left eye", "right eye"], "skeleton": [[1, 2]]}
    return {
        "images": images,
        "annotations": [
            {"id": 1 + i, "image_id": 7 + i % 2, "category_id": 3, **row}
            for i, row in enumerate(rows)
        ],
        "categories": [{"id": 3, "name": "cat", **points}, {"id": 5, "name": "dog"}],
    }


def quietly(read):
    """Returns a reader whose warnings, which are part of its work, are not printed."""

    def reading(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(path)

    return reading


def use(dataset):
    """Draws every mask of a data set and writes it as COCO."""
    for one in dataset.photos:
        for segment in one.objects.segments or ():
            segment_mask(segment, (one.height, one.width))
        assert np.isfinite(one.objects.boxes).all()
        if one.objects.keypoints is not None:
            assert np.isfinite(one.objects.keypoints).all()
    json.dumps(coco_dict(dataset), allow_nan=False)


def data_reader(reader, *arguments):
    return quietly(lambda path: use(reader(path, *arguments, report=None)))


def read_labels(path):
    data_reader(data.read_yolo)(path.parent.parent / "data.yaml")


def read_panoptic(path):
    dataset = data.read_coco_panoptic(path, report=None)
    try:
        use(dataset)
        for one in dataset.photos:
            one.pixel_labels.semantic_map((one.height, one.width))
            one.pixel_labels.panoptic_map((one.height, one.width))
    except ValueError as error:  # a PNG does not suit the file, and is named
        if ".png" not in str(error):
            raise AssertionError(str(error)) from error
        raise ValueError(f"{path.name}: {error}") from error


def read_png(path):
    read_panoptic(path.parent.parent / "set.json")


def read_numbered(path):
    folder = path.parent.parent
    use(data.read_label_images(folder / "images", folder / "labels", report=None))


def evaluate(path):
    contents = json.loads(path.read_bytes())
    for kind in KINDS:
        try:
            checked_ground_truth(contents, kind)
        except ValueError as error:
            refused = error
        else:
            return
    raise refused


def read_image(path):
    [header] = read_headers([path])
    pixels = read_photo(path)
    assert pixels.shape[:2] == header.size


def run_folder(path):
    RunFolder(path.parent, SETTINGS)


def history(path):
    content = path.read_bytes()
    path.unlink()
    RunFolder(path.parent, SETTINGS)  # writes its run.json, if there is none
    path.write_bytes(content)
    RunFolder(path.parent, SETTINGS)


def sound_run(folder):
    RunFolder(folder, SETTINGS)
    return json.loads((folder / "run.json").read_text())


def archive(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, member in members.items():
            file.writestr(name, member)
    return content.getvalue()


def members_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def dense():
    layers = [keras.Input((2,)), keras.layers.Dense(3, name="fc")]
    return keras.Sequential(layers)


def weights_of(model, folder):
    model.save_weights(folder / "sound.weights.h5")
    return (folder / "sound.weights.h5").read_bytes()


def torch_of(write, folder):
    floats = np.arange(400, dtype="<f4").tobytes()
    tensors = {f"w{i}": tensor(storage(count=400)) for i in range(9)}
    return write(folder / "sound.pt", named(**tensors), {"0": floats}).read_bytes()


def read_voc(path):
    return quietly(lambda one: use(data.read_voc(one.parent.parent, report=None)))(path)


def as_text(structure):
    return json.dumps(structure).encode("utf-8", errors="surrogatepass")


def all_targets(folder):
    """Returns the targets, list of `Target`; files to start from go to a folder."""
    targets = json_targets() + text_targets() + photo_targets() + run_targets(folder)
    targets += label_targets(folder) + proposal_targets() + command_targets()
    targets += video_targets(folder)
    targets += keras_targets(folder) + pickle_targets(folder)
    return targets + request_targets(folder, photo("JPEG"))


def json_targets():
    instances = data_reader(data.read_coco)
    label_me, shapes = data_reader(data.read_labelme), json.loads(labelme("a"))
    return [
        Target("set.json", as_text(coco()), instances, coco(), as_text, 16),
        Target("truth.json", None, evaluate, coco(), as_text, 6, is_named=False),
        Target("a.json", as_text(shapes), label_me, shapes, as_text),
    ]


def label_targets(folder):
    """Returns panoptic sets and label images: files whose pixels number the objects."""
    start = folder / "start"
    start.mkdir(exist_ok=True)
    contents = json.loads(write_panoptic_set(start).read_bytes())
    ranks = np.unique(ids_of_a(), return_inverse=True)[1].ravel().tolist()
    png, sets = (start / "set/a.png").read_bytes(), quietly(read_panoptic)
    pixels = np.zeros((80, 100), np.uint16)
    pixels[:40, 20:60], pixels[50:, 70:] = 1, 40000
    numbered, tiff = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(numbered, "PNG")
    Image.fromarray((pixels % 251).astype(np.uint8)).save(tiff, "TIFF")
    return [
        Target("panoptic/set.json", as_text(contents), sets, contents, as_text, 6),
        Target("pngs/set/a.png", png, quietly(read_png), ranks, as_png),
        Target("numbered/labels/a.png", numbered.getvalue(), quietly(read_numbered)),
        Target("numbered/labels/a.tif", tiff.getvalue(), quietly(read_numbered)),
    ]


def as_png(structure):
    """Returns a PNG of the panoptic set; a structure numbers the segments of pixels."""
    sound = ids_of_a()
    ids = np.unique(sound)
    ranks = np.searchsorted(ids, sound).ravel()
    numbers = [one for one in structure if type(one) is int][: ranks.size]
    ranks[: len(numbers)] = np.array([one % 5 for one in numbers], int)
    found = np.append(ids, 9)[ranks].reshape(SIZE)  # no segment has the last
    pixels = np.stack([found % 256, found // 256 % 256, found // 65536], axis=-1)
    content = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


def proposal_targets():
    found = [
        {"image_id": 7, "category_id": 1, "bbox": BBOX, "score": 0.5} for _ in range(3)
    ]
    pickled = {
        "ids": [7, "8"],
        "boxes": [[[1.0, 2.0, 30.0, 40.0]] * 3, [[0.0, 0.0, 9.0, 9.0]]],
        "objectness_logits": [[0.5, 1.5, -3.0], [2.0]],
        "bbox_mode": 1,
    }
    return [
        Target("found.json", as_text(found), data.read_proposals, found, as_text),
        Target(
            "found.pkl",
            as_pickle(pickled),
            quietly(data.read_proposals),
            pickled,
            as_pickle,
            6,
        ),
    ]


def as_pickle(structure):
    """Returns the pickle of a structure whose lists of numbers became arrays."""
    if isinstance(structure, dict):
        structure = {
            name: [as_array(one) for one in value] if isinstance(value, list) else value
            for name, value in structure.items()
        }
    return pickle.dumps(structure, 2)


def as_array(value):
    """Returns a list as an array if it is one of numbers; everything else as it is."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return value
    return array if array.ndim and array.dtype.kind in "iuf" else value


def text_targets():
    rows = "a.jpg,10,20,40,60,cat\nb.jpg,1,2,30,40,dog\n" * 20 + "b.jpg,,,,,\n"
    voc = (
        "<annotation><filename>a.jpg</filename><size><width>100</width>"
        f"<height>80</height></size>{voc_object((10, 20, 40, 60)) * 9}</annotation>"
    )
    labels = "0 0.25 0.5 0.3 0.5\n1 0.2 0.3 0.5 0.3 0.5 0.6\n" * 10
    names = "".join(f"- class {i}\n" for i in range(80))
    yaml = f"path: .\ntrain: images\nnames:\n{names}"
    images = cvat([cvat_image("a"), cvat_image("b") * 9])
    return [
        Target("annotations.xml", images.encode(), data_reader(data.read_cvat)),
        Target("Annotations/a.xml", voc.encode(), read_voc),
        Target("data.yaml", yaml.encode(), data_reader(data.read_yolo)),
        Target("yolo/labels/a.txt", labels.encode(), read_labels),
        Target("boxes.csv", rows.encode(), data_reader(data.read_csv)),
    ]


def photo_targets():
    kinds = "jpg JPEG, png PNG, webp WEBP, tif TIFF, gif GIF, bmp BMP".split(", ")
    read, progressive = quietly(read_image), photo("JPEG", progressive=True)
    return [
        Target(f"photo.{suffix}", photo(kind), read)
        for suffix, kind in map(str.split, kinds)
    ] + [Target("photo2.jpg", progressive, read, share=2)]


def video_targets(folder):
    kinds = {"clip.mp4": "libx264", "clip.mkv": "libx264", "clip.avi": "mpeg4"}
    return [
        Target(name, write_clip(folder / name, codec=codec).read_bytes(), copy_video)
        for name, codec in kinds.items()
    ]


def copy_video(path):
    copy = path.with_name("copy.mp4")
    with open_video(path) as video, contextlib.ExitStack() as stack:
        for frame in video.frames():
            if frame.number == 0:
                settings = video.rate, video.time_base, video.pixel_aspect
                writer = stack.enter_context(VideoWriter(copy, *settings))
            writer.write(frame.pixels, frame.time)


def run_targets(folder):
    epochs = [{"epoch": 0, "loss": 1.5}]
    settings = sound_run(folder / "sound")
    state = {"epoch": 1, "batch": 0, "best_value": 0.5, "metrics": [[1.0], 2.0]}

    def with_state(structure):
        return archive({"training_state.json": json.dumps(structure)})

    def target(name, read, structure, share):
        return Target(name, None, quietly(read), structure, as_text, share)

    return [
        target("run/run.json", run_folder, settings, 4),
        target("history/history.json", history, epochs, 2),
        Target("state.keras", None, read_state, state, with_state, 2, False),
    ]


def keras_targets(folder):
    model = dense()
    members = members_of(SCENES / "faster_rcnn_resnet18_fpn_scenes.keras")
    config = json.loads(members["config.json"])

    def with_config(structure):
        return archive({**members, "config.json": json.dumps(structure)})

    def read_weights(path):
        load_weights_file(model, path)

    return [
        Target("config.keras", None, load_keras_file, config, with_config, 1),
        Target("bytes.keras", archive(members), load_keras_file, share=1),
        Target("m.weights.h5", weights_of(model, folder), read_weights),
    ]


def pickle_targets(folder):
    values = np.arange(900, dtype=np.float32).reshape(30, 30)
    arrays = {"w": values, "names": ["a", "b"]}
    torch, pickled = quietly(read_torch), quietly(read_array_pickle)
    return [
        Target("zip.pt", torch_of(write_zip, folder), torch),
        Target("legacy.pt", torch_of(write_legacy, folder), torch),
        Target("arrays.pkl", pickle.dumps(arrays, 2), pickled),
        Target("arrays4.pkl", pickle.dumps(arrays, 4), pickled),
    ]
