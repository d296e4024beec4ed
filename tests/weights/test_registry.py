"""What the table of published checkpoints promises, and that its page shows."""

import dataclasses
import re

import pytest

from keras_fpn.weights import Checkpoint, get_checkpoint
from keras_fpn.weights.checkpoint import Digest
from keras_fpn.weights.coco_classes import COCO_CATEGORY_IDS, COCO_CLASS_NAMES
from keras_fpn.weights.registry import CHECKPOINTS

DOWNLOADED = [c for c in CHECKPOINTS.values() if c.url is not None]
FAPN = "faster_rcnn_resnet50_fapn_detectron2_1x"


def table_row(checkpoint):
    """The checkpoint's line in docs/weights.md."""
    [(data, metrics)] = checkpoint.metrics.items()
    published = ", ".join(f"{metric} {value}" for metric, value in metrics.items())
    file = "not downloaded: see [FaPN](fapn.md#published-results)"
    if checkpoint.url is not None:
        file = f"[{checkpoint.url.rpartition('/')[2]}]({checkpoint.url})"
    size = "?" if checkpoint.size_mb is None else f"{checkpoint.size_mb:.0f}"
    return f"| `{checkpoint.name}` | {published} on {data} | {size} | {file} |"


@pytest.mark.parametrize("checkpoint", DOWNLOADED, ids=lambda found: found.name)
def test_the_hash_is_the_one_in_the_file_name(checkpoint):
    digits = checkpoint.digest.digits
    folder, _, file = checkpoint.url.rpartition("/")
    if "detectron2" in checkpoint.name:
        assert checkpoint.digest.algorithm == "md5"
        assert re.fullmatch("[0-9a-f]{6}", digits)
        tasks = {
            "cascade": "Misc",
            "keypoint": "COCO-Keypoints",
            "panoptic": "COCO-PanopticSegmentation",
            "mask": "COCO-InstanceSegmentation",
        }
        task = tasks.get(checkpoint.name.partition("_")[0], "COCO-Detection")
        zoo = f"https://dl.fbaipublicfiles.com/detectron2/{task}"
        model = r"(panoptic_fpn_R_(50|101)|\w+_R_(50|101)_FPN)_[13]x"
        assert re.fullmatch(rf"{zoo}/{model}/\d{{9}}", folder)
        assert file == f"model_final_{digits}.pkl"
    else:
        assert checkpoint.digest.algorithm == "sha256"
        assert re.fullmatch("[0-9a-f]{8}", digits)
        assert folder == "https://download.pytorch.org/models"
        assert file.endswith(f"-{digits}.pth")


@pytest.mark.parametrize("checkpoint", DOWNLOADED, ids=lambda found: found.name)
def test_a_number_comes_with_its_source_and_terms(checkpoint):
    [(data, metrics)] = checkpoint.metrics.items()
    metric = next(iter(metrics))
    assert all(20 < value < 100 for value in metrics.values())
    masked = ("mask", "panoptic")
    assert ("mask AP" in metrics) == any(kind in checkpoint.name for kind in masked)
    assert ("PQ" in metrics) == ("panoptic" in checkpoint.name)
    assert ("keypoint AP" in metrics) == ("keypoint" in checkpoint.name)
    classes = checkpoint.num_classes
    if "keypoint" in checkpoint.name:
        assert (metric, classes) == ("box AP", 1)
        assert checkpoint.class_names == ("person",)
        assert checkpoint.category_ids == (1,)
        classes = 80 if "detectron2" in checkpoint.name else 90
    if "detectron2" in checkpoint.name:
        kinds = {"box AP": 80, "AR@1000": 1}
        assert (data, classes) == ("COCO val2017", kinds[metric])
        zoo = r"detectron2, model zoo, (COCO-\w+|Misc)/\w+x"
        assert re.fullmatch(zoo, checkpoint.source)
        assert "CC BY-SA 3.0" in checkpoint.license
        return
    columns = 91 if checkpoint.num_classes == 91 else 90  # with one for the id 0
    assert (columns == 91) == checkpoint.name.startswith(("retinanet", "fcos"))
    kinds = {
        "COCO val2017": ("box AP", columns),
        "ImageNet-1K": ("top-1 accuracy", 1000),
    }
    assert (metric, classes) == kinds[data]
    assert re.fullmatch(
        r"torchvision 0\.27\.1, models\.(detection\.)?\w+_Weights\.\w+_V[12]",
        checkpoint.source,
    )
    assert "BSD-3-Clause" in checkpoint.license
    assert data in checkpoint.license


def test_what_torchvision_publishes():
    published = {
        "faster_rcnn_resnet50_fpn_coco": (37.0, "258fb6c6"),
        "faster_rcnn_resnet50_fpn_v2_coco": (46.7, "dd69338a"),
        "faster_rcnn_mobilenet_v3_large_fpn_coco": (32.8, "fb6a3cc7"),
        "faster_rcnn_mobilenet_v3_large_320_fpn_coco": (22.8, "907ea3f9"),
        "mask_rcnn_resnet50_fpn_coco": (37.9, 34.6, "bf2d0c1e"),
        "mask_rcnn_resnet50_fpn_v2_coco": (47.4, 41.8, "73cbd019"),
        "retinanet_resnet50_fpn_coco": (36.4, "eeacb38b"),
        "retinanet_resnet50_fpn_v2_coco": (41.5, "5905b1c5"),
        "fcos_resnet50_fpn_coco": (39.2, "99b0c9b7"),
    }
    detectors = {
        name: (*checkpoint.metrics["COCO val2017"].values(), checkpoint.digest.digits)
        for name, checkpoint in CHECKPOINTS.items()
        if name.endswith("_coco") and not name.startswith("keypoint")
    }
    assert detectors == published


def test_what_detectron2_publishes():
    found = {
        name: (*checkpoint.metrics["COCO val2017"].values(), checkpoint.digest.digits)
        for name, checkpoint in CHECKPOINTS.items()
        if "detectron2, model zoo" in checkpoint.source
    }
    assert found == {
        "faster_rcnn_resnet50_fpn_detectron2_1x": (37.9, "b275ba"),
        "faster_rcnn_resnet50_fpn_detectron2_3x": (40.2, "280758"),
        "faster_rcnn_resnet101_fpn_detectron2_3x": (42.0, "f6e8b1"),
        "fast_rcnn_resnet50_fpn_detectron2_1x": (37.8, "e5f7ce"),
        "rpn_resnet50_fpn_detectron2_1x": (58.0, "02ce48"),
        "mask_rcnn_resnet50_fpn_detectron2_1x": (38.6, 35.2, "a54504"),
        "mask_rcnn_resnet50_fpn_detectron2_3x": (41.0, 37.2, "f10217"),
        "mask_rcnn_resnet101_fpn_detectron2_3x": (42.9, 38.6, "a3ec72"),
        "cascade_mask_rcnn_resnet50_fpn_detectron2_3x": (44.3, 38.5, "480dd8"),
        "panoptic_resnet50_fpn_detectron2_1x": (37.6, 34.7, 39.4, "dbfeb4"),
        "panoptic_resnet50_fpn_detectron2_3x": (40.0, 36.5, 41.5, "c10459"),
        "panoptic_resnet101_fpn_detectron2_3x": (42.4, 38.5, 43.0, "cafdb1"),
        "keypoint_rcnn_resnet50_fpn_detectron2_1x": (53.6, 64.0, "04e291"),
        "keypoint_rcnn_resnet50_fpn_detectron2_3x": (55.4, 65.5, "a6e10b"),
        "retinanet_resnet50_fpn_detectron2_1x": (37.4, "bfca0b"),
        "retinanet_resnet50_fpn_detectron2_3x": (38.7, "5bd44e"),
        "retinanet_resnet101_fpn_detectron2_3x": (40.4, "971ab9"),
    }


def test_what_torchvision_publishes_for_keypoint_rcnn():
    checkpoint = get_checkpoint("keypoint_rcnn_resnet50_fpn_coco")
    metrics = {"box AP": 54.6, "keypoint AP": 65.0}
    assert checkpoint.metrics == {"COCO val2017": metrics}
    assert checkpoint.digest == Digest("sha256", "fc266e95")


def test_fapns_number_comes_with_its_source_and_without_a_file():
    checkpoint = get_checkpoint(FAPN)
    assert checkpoint.metrics == {"COCO val2017": {"box AP": 39.2}}
    assert re.match("FaPN .*, github.com/EMI-Group/FaPN, README", checkpoint.source)
    assert "not stated" in checkpoint.license
    assert (checkpoint.url, checkpoint.digest, checkpoint.num_classes) == (
        None,
        None,
        80,
    )
    assert set(CHECKPOINTS) - {found.name for found in DOWNLOADED} == {FAPN}


def test_detectron2_has_the_80_classes_that_coco_uses():
    checkpoint = get_checkpoint("faster_rcnn_resnet50_fpn_detectron2_1x")
    assert len(checkpoint.class_names) == len(checkpoint.category_ids) == 80
    named = dict(zip(checkpoint.category_ids, checkpoint.class_names, strict=True))
    assert list(named) == sorted(named)
    assert "N/A" not in checkpoint.class_names
    assert (named[1], named[13], named[90]) == ("person", "stop sign", "toothbrush")
    assert checkpoint.class_names[11] == "stop sign"
    assert get_checkpoint("rpn_resnet50_fpn_detectron2_1x").class_names is None


def test_a_digest_is_verified_by_its_own_algorithm(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"a")  # MD5 0cc175b9.., SHA-256 ca978112..
    assert Digest("md5", "0cc175").fits(file)
    assert Digest("sha256", "ca978112").fits(file)
    assert not Digest("sha256", "0cc175").fits(file)
    assert not Digest("md5", "0cc175").fits(tmp_path / "b")
    assert [str(Digest(name, "")) for name in ("md5", "sha256")] == ["MD5", "SHA-256"]


def test_bodies_for_every_backbone_with_torchvision_weights():
    bodies = [name for name in CHECKPOINTS if "_imagenet_" in name]
    both = ["resnet50", "resnet101", "resnet152", "mobilenet_v3_large"]
    expected = [f"{name}_imagenet_v1" for name in ["resnet18", "resnet34", *both]]
    expected += [f"{name}_imagenet_v2" for name in both]
    assert sorted(bodies) == sorted(expected)
    better = CHECKPOINTS["resnet50_imagenet_v2"].metrics["ImageNet-1K"]
    assert better == {"top-1 accuracy": 80.858}


def test_no_file_stands_under_two_names():
    assert len({checkpoint.url for checkpoint in DOWNLOADED}) == len(DOWNLOADED)
    assert [name for name, c in CHECKPOINTS.items() if c.name != name] == []


def test_an_entry_is_found_and_cannot_be_changed():
    checkpoint = get_checkpoint("resnet18_imagenet_v1")
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint.size_mb == 44.661
    with pytest.raises(dataclasses.FrozenInstanceError):
        checkpoint.url = "https://elsewhere"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50_imagenet", r"'resnet50_imagenet'.*Near.*'resnet50_imagenet_v[12]'"),
        (
            "fasterrcnn_resnet50_fpn",
            r"'fasterrcnn_resnet50_fpn'.*Near names: \['faster_rcnn_resnet50_fpn_coco'",
        ),
        ("???", r"name='\?\?\?'. Names: \['cascade_mask_rcnn"),
        (None, "received name=None"),
    ],
)
def test_an_unknown_name_is_refused_with_the_near_ones(name, said):
    with pytest.raises(ValueError, match=said):
        get_checkpoint(name)


def test_coco_classes_are_its_ids_from_1_to_90_in_order():
    assert COCO_CATEGORY_IDS == tuple(range(1, 91))
    named = dict(zip(COCO_CATEGORY_IDS, COCO_CLASS_NAMES, strict=True))
    unused = [number for number, name in named.items() if name == "N/A"]
    assert unused == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert len(set(COCO_CLASS_NAMES) - {"N/A"}) == 80
    known = {1: "person", 13: "stop sign", 44: "bottle", 72: "tv", 90: "toothbrush"}
    assert {number: named[number] for number in known} == known


def test_the_page_lists_exactly_the_registry(repository_root):
    page = (repository_root / "docs" / "weights.md").read_text()
    rows = re.findall(
        r"^\| `.*_(?:coco|detectron2_\dx|imagenet_v\d)` .*$", page, re.MULTILINE
    )
    assert rows == [table_row(checkpoint) for checkpoint in CHECKPOINTS.values()]
