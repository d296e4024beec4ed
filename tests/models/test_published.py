import keras
import pytest

from keras_fpn.backbones import resnet
from keras_fpn.box_coder import BoxCoder
from keras_fpn.layers import ProbabilityPeaks
from keras_fpn.models import published, published_detectron2, published_keypoints
from keras_fpn.models.pasted_masks import ExactPaste
from keras_fpn.models.published import (
    COCO_OF_BACKBONE,
    FASTER_RCNN,
    MASK_RCNN,
    MASK_RCNN_COCO,
)

FIVE_SIZES = (32, 64, 128, 256, 512)
MOBILE = {
    "backbone": ("mobilenet_v3_large", {}),
    "anchors": {"sizes": dict.fromkeys(("P5", "P6", "P7"), FIVE_SIZES)},
    "proposals": {"score_threshold": 0.05},
    "roi_align": {"levels": ("P5",)},
}
# Ours, for photos half as large as the paper's.
SMALL = {
    "anchors": {
        "sizes": {"P2": (16,), "P3": (32,), "P4": (64,), "P5": (128,), "P6": (256,)}
    },
    "proposals": {
        "post_nms_top_k": 300,
        "training_pre_nms_top_k": 1000,
        "training_post_nms_top_k": 500,
    },
    "roi_sample": {"count": 128, "positive_fraction": 0.25},
}
RESNET18 = {
    **SMALL,
    "backbone": ("resnet18", {"norm": "group", "channels": 24}),
    "neck": {"channels": 64, "norm": "group"},
    "box_head": {"channels": 128},
}
# What each architecture has another than the paper's, torchvision 0.27 for COCO's.
EXPECTED = {
    "faster_rcnn_resnet50_fpn_coco": {"backbone": ("resnet50", {"epsilon": 0.0})},
    "faster_rcnn_resnet50_fpn_v2_coco": {
        "backbone": ("resnet50", {"norm": "batch"}),
        "neck": {"norm": "batch"},
        "rpn_head": {"num_convs": 2},
        "box_head": {"norm": "batch"},
    },
    "faster_rcnn_mobilenet_v3_large_fpn_coco": MOBILE,
    "faster_rcnn_mobilenet_v3_large_320_fpn_coco": {
        **MOBILE,
        "proposals": {
            "pre_nms_top_k": 150,
            "post_nms_top_k": 150,
            "score_threshold": 0.05,
        },
        "preprocessing": {"min_size": 320, "max_size": 640},
    },
    "faster_rcnn_resnet18_fpn_scenes": {
        **RESNET18,
        "preprocessing": {"min_size": 320, "max_size": 533},
    },
    "faster_rcnn_resnet18_fpn_bccd": {
        **RESNET18,
        "preprocessing": {"min_size": 360, "max_size": 480},
    },
}
NUCLEI = {
    **RESNET18,
    "anchors": {
        "sizes": {"P2": (12,), "P3": (24,), "P4": (48,), "P5": (96,), "P6": (192,)}
    },
    "proposals": {**SMALL["proposals"], "post_nms_top_k": 500},
    "roi_sample": {"count": 128, "positive_fraction": 0.5},
    "detections": {"max_detections": 200},
    "mask_head": {"num_convs": 2, "channels": 64, "norm": "group"},
    "mask_targets": {"aligned": True, "threshold": 0.5},
    "mask_paste": {},
    "preprocessing": {"min_size": 320, "max_size": 428},
}
SMALL_MOBILENET_V2 = {
    **SMALL,
    "backbone": ("mobilenet_v2", {}),
    "neck": {"channels": 96, "norm": "group"},
    "box_head": {"channels": 256},
    # Mean and deviation of pixels are the backbone's.
    "preprocessing": {"min_size": 320, "max_size": 533},
}


@pytest.fixture(autouse=True)
def _composed_parts_are_only_named(monkeypatch):
    """A backbone is here its name and arguments: building one takes seconds.

    So is FaPN's neck, whose layers have tests of their own.
    """
    monkeypatch.setattr(published_detectron2, "fapn", _named("fapn"))
    monkeypatch.setattr(published_keypoints, "resnet50", _named("resnet50"))
    monkeypatch.setattr(resnet, "_resnet", lambda name, *_: (name, {}))
    for name in ("resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large"):
        stand_in = _named(name)
        monkeypatch.setattr(published, name, stand_in)


def _named(name):
    return lambda **arguments: (name, arguments)


def described(part):
    """A part as the values of its config that are not its class's defaults."""
    if isinstance(part, tuple):
        return part
    describe = "to_config" if hasattr(part, "to_config") else "get_config"
    config = getattr(part, describe)()
    try:
        plain = getattr(type(part)(), describe)()
    except TypeError:  # sizes of anchors, and an assignment's numbers, have no default
        plain = {}
        if isinstance(part, keras.layers.Layer):
            plain = type(part)(config["sizes"]).get_config() | {"sizes": None}
    ours = {
        name: config[name] for name in config if config[name] != plain.get(name, [])
    }
    ours.pop("name", None)
    return ours


def test_every_architecture_has_the_parts_of_its_table():
    assert set(FASTER_RCNN) == set(EXPECTED)
    for architecture, parts in FASTER_RCNN.items():
        found = {name: described(part) for name, part in parts().items()}
        assert found == EXPECTED[architecture], architecture


def test_mask_rcnns_have_the_parts_of_faster_rcnns_and_norms_in_the_head():
    expected = {
        "mask_rcnn_resnet50_fpn_coco": EXPECTED["faster_rcnn_resnet50_fpn_coco"],
        "mask_rcnn_resnet50_fpn_v2_coco": {
            **EXPECTED["faster_rcnn_resnet50_fpn_v2_coco"],
            "mask_head": {"norm": "batch"},
        },
        "mask_rcnn_resnet18_fpn_nuclei": NUCLEI,
    }
    assert set(MASK_RCNN) == set(expected)
    for architecture, parts in MASK_RCNN.items():
        found = {name: described(part) for name, part in parts().items()}
        assert found == expected[architecture], architecture
    assert MASK_RCNN_COCO == {"resnet50": "mask_rcnn_resnet50_fpn_coco"}


def test_detectron2s_masks_are_pasted_exactly():
    paste = published_detectron2.mask_rcnn_parts(lambda: None)["mask_paste"]
    assert paste == ExactPaste(0.5)


def test_the_small_mobile_one_has_the_parts_of_its_table():
    parts = published.small_mobilenet_v2_parts()
    found = {name: described(part) for name, part in parts.items()}
    assert found == SMALL_MOBILENET_V2


def test_detectron2s_architectures_have_the_parts_of_its_configs():
    l1, sizes = 0.0, {f"P{level}": (2 ** (level + 3),) for level in range(2, 7)}
    region = {
        "anchors": {"sizes": sizes},
        "proposals": {"training_post_nms_top_k": 1000, "coder": coder(beta=l1)},
        "rpn_sample": {"count": 256, "positive_fraction": 0.5},
        "preprocessing": {"resize_rule": "detectron2"},
    }
    faster = {
        **region,
        "roi_align": {"sampling_ratio": 0, "aligned": True},
        "detections": {"coder": coder((10.0, 10.0, 5.0, 5.0), l1)},
    }
    rpn = {
        **region,
        "proposals": {**region["proposals"], "post_nms_top_k": 2000},
        "detections": {"max_detections": 2000},
    }
    aligned = {**faster, "neck": ("fapn", {"name": "neck"})}
    mask = {
        **faster,
        "mask_roi_align": {"output_size": 14, **faster["roi_align"]},
        "mask_targets": {"aligned": True, "threshold": 0.5},
        "mask_paste": {},
    }
    cascade = {
        **{name: part for name, part in mask.items() if name != "detections"},
        "proposals": {"coder": coder(beta=l1)},  # 2000 in training are the default
    }
    fast = {name: faster[name] for name in ("preprocessing", "roi_align", "detections")}
    expected = {
        "faster_rcnn_resnet50_fpn_detectron2_1x": ("msra_resnet50", faster),
        "faster_rcnn_resnet50_fpn_detectron2_3x": ("msra_resnet50", faster),
        "faster_rcnn_resnet101_fpn_detectron2_3x": ("msra_resnet101", faster),
        "faster_rcnn_resnet50_fapn_detectron2_1x": ("msra_resnet50", aligned),
        "mask_rcnn_resnet50_fpn_detectron2_1x": ("msra_resnet50", mask),
        "mask_rcnn_resnet50_fpn_detectron2_3x": ("msra_resnet50", mask),
        "mask_rcnn_resnet101_fpn_detectron2_3x": ("msra_resnet101", mask),
        "cascade_mask_rcnn_resnet50_fpn_detectron2_3x": ("msra_resnet50", cascade),
        # What is added to Mask R-CNN is as by default.
        "panoptic_resnet50_fpn_detectron2_1x": ("msra_resnet50", mask),
        "panoptic_resnet50_fpn_detectron2_3x": ("msra_resnet50", mask),
        "panoptic_resnet101_fpn_detectron2_3x": ("msra_resnet101", mask),
        "fast_rcnn_resnet50_fpn_detectron2_1x": ("msra_resnet50", fast),
        "rpn_resnet50_fpn_detectron2_1x": ("msra_resnet50", rpn),
    }
    architectures = {
        **published_detectron2.FASTER_RCNN,
        **published_detectron2.MASK_RCNN,
        **published_detectron2.CASCADE_MASK_RCNN,
        **published_detectron2.PANOPTIC_FPN,
        **published_detectron2.FAST_RCNN,
        **published_detectron2.RPN,
    }
    assert set(architectures) == set(expected)
    for architecture, function in architectures.items():
        parts = function()
        backbone, _ = parts.pop("backbone")
        found = {name: described(part) for name, part in parts.items()}
        assert (backbone, found) == expected[architecture], architecture


def coder(*arguments, **named):
    return keras.saving.serialize_keras_object(BoxCoder(*arguments, **named))


def test_layers_are_named_as_what_they_are():
    for parts in FASTER_RCNN.values():
        for name, part in parts().items():
            if isinstance(part, keras.layers.Layer):
                assert part.name == name


def test_cocos_weights_are_those_of_the_backbones_first_architecture():
    assert COCO_OF_BACKBONE == {
        "resnet50": "faster_rcnn_resnet50_fpn_coco",
        "mobilenet_v3_large": "faster_rcnn_mobilenet_v3_large_fpn_coco",
    }


def test_keypoint_rcnn_of_detectron2_differs_from_faster_rcnn_in_four_settings():
    functions = published_keypoints.KEYPOINT_RCNN
    assert set(functions) == {
        "keypoint_rcnn_resnet50_fpn_coco",
        "keypoint_rcnn_resnet50_fpn_detectron2_1x",
        "keypoint_rcnn_resnet50_fpn_detectron2_3x",
    }
    [*_, last] = functions.values()
    parts, faster = last(), published_detectron2.faster_rcnn_parts()
    assert parts.pop("backbone") == faster.pop("backbone")
    changed = {
        name: described(part)
        for name, part in parts.items()
        if name not in faster or described(part) != described(faster[name])
    }
    proposals = described(faster["proposals"])
    assert changed == {
        "proposals": {**proposals, "training_post_nms_top_k": 1500},
        "detections": {"coder": coder((10.0, 10.0, 5.0, 5.0), beta=0.5)},
        "keypoint_peaks": {},
    }
    assert type(parts["keypoint_peaks"]) is ProbabilityPeaks
    [first, *_] = functions.values()
    assert first() == {"backbone": ("resnet50", {"epsilon": 0.0})}
