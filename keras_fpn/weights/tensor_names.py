"""The names of tensors in checkpoints: current ones, and those that are no weights.

Source: the state dicts of torchvision 0.27 and of detectron2, and the renaming that
torchvision's loaders apply to files of older module versions.
"""

import re

_LEGACY = (
    (r"(\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2"),
    (r"(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
    # There they count from 1.
    (r"(\.mask_head)\.mask_fcn(\d)", lambda m: f"{m[1]}.{int(m[2]) - 1}.0"),
)
# The towers of RetinaNet's heads: convolutions had even numbers, ReLUs odd ones.
_LEGACY_TOWER = r"(head\.\w+_head\.conv)\.([0246])\.(weight|bias)$"
_FCOS = "head.regression_head.bbox_ctrness.weight"  # its towers keep such names

_COUNTERS = r"\.num_batches_tracked$", "counter of batches, which training alone needs"
_NOT_WEIGHTS = {
    "torchvision": (_COUNTERS,),
    "detectron2": (
        _COUNTERS,
        (r"^pixel_(mean|std)$", "constant: the model has its own of pixels"),
        (
            r"^(proposal_generator\.)?anchor_generator\.",
            "constant: the model computes its anchors",
        ),
    ),
}


def publisher_of(tensors):
    """Returns whose names the tensors have, "torchvision" or "detectron2"."""
    of_detectron2 = any(key.startswith("backbone.bottom_up.") for key in tensors)
    return "detectron2" if of_detectron2 else "torchvision"


def weights_among(tensors, publisher):
    """Returns the tensors that are weights, under the publisher's current names, dict.

    Args:
        tensors: dict of str -> array.
        publisher: str, "torchvision" or "detectron2".
    """
    left_out = not_weights(tensors, publisher)
    kept = {key: tensor for key, tensor in tensors.items() if key not in left_out}
    return current_names(kept) if publisher == "torchvision" else kept


def not_weights(tensors, publisher):
    """Returns the names of tensors that are no weights, dict of name -> reason.

    Args:
        tensors, publisher: as of `weights_among`.
    """
    found = {}
    for key in tensors:
        for pattern, reason in _NOT_WEIGHTS[publisher]:
            if re.search(pattern, key):
                found[key] = reason
    return found


def current_names(tensors):
    """Returns the tensors under the current names in torchvision, dict.

    Those that have current names keep them.
    """
    renamed = {}
    for key, tensor in tensors.items():
        for pattern, replacement in _LEGACY:
            key = re.sub(pattern, replacement, key)
        if _FCOS not in tensors:
            key = re.sub(_LEGACY_TOWER, _current_tower, key)
        renamed[key] = tensor
    return renamed


def _current_tower(match):
    tower, place, kind = match.groups()
    return f"{tower}.{int(place) // 2}.0.{kind}"
