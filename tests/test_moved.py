"""Names of modules that documentation gave before they moved still work."""

import pytest

import keras_fpn
import keras_fpn.serving
from keras_fpn.data import anchor_coverage as data_anchor_coverage
from keras_fpn.data import augment
from keras_fpn.metrics import mistakes, page
from keras_fpn.training import distribution

AUGMENTATIONS = [
    "CopyPaste",
    "LargeScaleJitter",
    "MultiScale",
    "Photometric",
    "RandomFlip",
    "SafeCrop",
]


@pytest.mark.parametrize(
    ("old", "names", "new"),
    [
        (mistakes, ["find_mistakes"], keras_fpn.report),
        (page, ["evaluation_page"], keras_fpn.report),
        (data_anchor_coverage, ["anchor_coverage", "level_strides"], keras_fpn.report),
        (augment, AUGMENTATIONS, keras_fpn.data),
        (distribution, ["Devices", "make_devices"], keras_fpn.distribute),
        (keras_fpn.serving, ["check_export", "export_saved_model"], keras_fpn.export),
    ],
)
def test_what_moved_is_found_under_its_old_name_and_nothing_else(old, names, new):
    for name in names:
        assert getattr(old, name) is getattr(new, name)
    for other in ("other", "__all__", "Loader", "evaluation_text", "picture_paths"):
        with pytest.raises(AttributeError, match=f"has no attribute '{other}'"):
            getattr(old, other)
