"""Shared by two-stage detectors: the parts, and the graphs up to the proposals."""

from dataclasses import dataclass, fields
from typing import Any

import keras

from keras_fpn.models.box_branch import BoxBranch
from keras_fpn.models.parts import Parts
from keras_fpn.models.region_branch import RegionBranch


@dataclass(frozen=True, repr=False)
class PyramidParts(Parts):
    """Base class of the parts of all detectors on a feature pyramid.

    Attributes:
        backbone: functional model, float (B, H, W, 3) -> dict "C<l>" -> map.
        neck: layer, dict "C<l>" -> dict "P<l>", such as `FeaturePyramid`.
    """

    backbone: Any
    neck: Any

    def __repr__(self):
        kinds = {f.name: type(getattr(self, f.name)).__name__ for f in fields(self)}
        named = {**kinds, "backbone": self.backbone.name}
        listed = ", ".join(f"{name}={kind}" for name, kind in named.items())
        return f"<{type(self).__name__}: {listed}>"


@keras.saving.register_keras_serializable(package="keras_fpn")
@dataclass(frozen=True, repr=False)
class TwoStageParts(PyramidParts):
    """The parts of a two-stage detector.

    Attributes:
        backbone, neck: as in `PyramidParts`.
        region: `RegionBranch`, the first stage.
        box: `BoxBranch`, the second stage.
    """

    region: RegionBranch
    box: BoxBranch


def pyramid_stages(parts, images, image_sizes):
    """Returns the tensors of each stage up to the pyramid.

    Args:
        parts: `PyramidParts`.
        images: float (B, H, W, 3), normalized.
        image_sizes: float (B, 2), height and width without the padding, pixels.

    Returns:
        dict with "image_sizes"; "bottom_up", the backbone's maps; and "pyramid", the
        maps that RoIs read.
    """
    bottom_up = parts.backbone(images)  # C2..C5
    pyramid = parts.neck(bottom_up)  # P2..P5
    return {"image_sizes": image_sizes, "bottom_up": bottom_up, "pyramid": pyramid}


def proposal_stages(parts, images, image_sizes):
    """Returns the tensors of each stage of a two-stage detector up to its proposals.

    Args:
        parts: `PyramidParts` with a `region` branch.
        images, image_sizes: as of `pyramid_stages`.

    Returns:
        dict with the stages of `pyramid_stages` and of `RegionBranch`, whose
        "rpn_pyramid" also has the coarser levels.
    """
    stages = pyramid_stages(parts, images, image_sizes)
    return stages | parts.region.stages(stages["pyramid"], images, image_sizes)
