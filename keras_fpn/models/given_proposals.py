"""The proposals that a user gives with photos, for a detector that takes them."""

from collections.abc import Sequence


def takes_proposals(model) -> bool:
    """Returns whether proposals are an input of a detector."""
    return "proposals" in getattr(model, "extra_inputs", ())


def check_given(model, proposals: Sequence | None, count: int):
    """Raises an error unless proposals are given as a detector takes them.

    Args:
        model: `keras_fpn.models.Detector`.
        proposals: list, one entry per photo, or None.
        count: int, number of photos.

    Raises:
        ValueError: the detector takes none, they are missing, or of another number.
    """
    kind = type(model).__name__
    if takes_proposals(model) and proposals is None:
        raise ValueError(
            f"A {kind} must be given proposals; received proposals=None. Pass those of "
            "another detector: [found['boxes'] for found in rpn.detect(photos)]."
        )
    if proposals is None:
        return
    if not takes_proposals(model):
        raise ValueError(
            f"A {kind} makes its own proposals; received {len(proposals)} of them. "
            "Leave proposals out, or use keras_fpn.models.FastRCNN."
        )
    if len(proposals) != count:
        raise ValueError(
            "There must be one array of proposals for each photo; received "
            f"{len(proposals)} for {count} photos."
        )
