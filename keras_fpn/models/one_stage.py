"""Shared by one-stage detectors: the detector with a dense head, default levels."""

from typing import Any

from keras_fpn.layers import ConvolvedLevels, FeaturePyramid
from keras_fpn.levels import level_number, ordered_names
from keras_fpn.models.build import with_defaults
from keras_fpn.models.detector import Detector

# Lin et al. 2017 (arXiv:1708.02002), Sec. 4: P3 to P7, because P2 would cost much.
_FINEST = 3
_PROBE_SIDE = 1024  # pixels of the image with which strides of levels are measured


def dense_stages(parts, images, image_sizes):
    """Returns the tensors of each stage of a one-stage detector.

    Args:
        parts: `PyramidParts` with a branch `dense`.
        images: float (B, H, W, 3), normalized.
        image_sizes: float (B, 2), height and width without the padding, pixels.

    Returns:
        dict with "image_sizes"; "bottom_up", the backbone's maps from C3 on; "pyramid",
        those of the neck; and the stages of the branch.
    """
    bottom_up = _from_finest(parts.backbone(images))  # C3..C5
    pyramid = parts.neck(bottom_up)  # P3..P5
    return {
        "image_sizes": image_sizes,
        "bottom_up": bottom_up,
        "pyramid": pyramid,
        **parts.dense.stages(pyramid, bottom_up, images),
    }


class OneStageDetector(Detector):
    """A detector whose head predicts objects at every cell of the pyramid.

    `trunk` outputs what `dense_stages` returns.

    Args:
        parts: `PyramidParts` with a branch `dense`.
        preprocessing, class_names, category_ids, name: as in `Detector`.
    """

    stages = staticmethod(dense_stages)

    @staticmethod
    def results(parts, stages, **limits):
        return parts.dense.outputs(stages, **limits)

    def stage_losses(self, stages, truth, seed, step, training):
        yield self.parts.dense.losses(stages, truth, training)

    def final_part(self):
        return self.parts.dense.detections


def with_levels(parts: dict[str, Any], source: str):
    """Returns parts by name, with a neck and coarser levels where they are missing.

    Args:
        parts: dict of name -> part.
        source: str, the `coarse_source` of the added `coarse_level`.

    Raises:
        ValueError: the backbone has no map from C3 on.
    """
    parts = with_defaults(parts, {"neck": FeaturePyramid})
    if "coarse_level" in parts:
        return parts
    _, pyramid = _shapes(parts)
    channels = next(iter(pyramid.values()))[-1]
    coarse_level = ConvolvedLevels(channels, name="coarse_level")
    return {"coarse_source": source, **parts, "coarse_level": coarse_level}


def strides_of_levels(parts: dict[str, Any]):
    """Returns the stride of each level that the head reads, dict "P<l>" -> int, pixels.

    Args:
        parts: dict of name -> part, with backbone, neck and coarse levels.

    Raises:
        ValueError: a stride is not a whole number.
    """
    bottom_up, pyramid = _shapes(parts)
    sources = [pyramid]
    if parts.get("coarse_source") == "bottom_up":
        sources.append(bottom_up[ordered_names(bottom_up)[-1]])
    shapes = parts["coarse_level"].compute_output_shape(*sources)
    sides = {name: shapes[name][1:3] for name in ordered_names(shapes)}
    for name, (height, width) in sides.items():
        if not height or height != width or _PROBE_SIDE % height:
            raise ValueError(
                "Default anchors need levels whose strides are whole numbers; received "
                f"{name} of size {(height, width)} for an image of {_PROBE_SIDE} "
                "pixels. Pass anchors."
            )
    return {name: _PROBE_SIDE // height for name, (height, _) in sides.items()}


def _shapes(parts):
    """Returns the shapes of the bottom-up maps and of the neck's for a probe image."""
    image = (1, _PROBE_SIDE, _PROBE_SIDE, 3)
    bottom_up = _from_finest(parts["backbone"].compute_output_shape(image))
    return bottom_up, parts["neck"].compute_output_shape(bottom_up)


def _from_finest(bottom_up):
    """Returns the maps, or their shapes, from C3 on."""
    kept = {
        name: value
        for name, value in bottom_up.items()
        if level_number(name) >= _FINEST
    }
    if not kept:
        raise ValueError(
            f"A one-stage detector reads maps from C{_FINEST} on; received a backbone "
            f"with {ordered_names(bottom_up)}. Use one with C3, C4 and C5."
        )
    return kept
