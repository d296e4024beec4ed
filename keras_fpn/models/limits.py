"""Limits on results: checks them, and rounds them so that few graphs are compiled."""

# Limits looser than a detector's own are rounded to these values, so that few
# functions are compiled however many limits a user tries. Rounding only adds rows at
# the end of the outputs, which are removed later, so the results are not changed.
_THRESHOLDS = (0.01, 0.0)
_MAXIMA = (100, 300, 1000, 3000)


def shared_limits(
    final, score_threshold: float | None = None, max_detections: int | None = None
):
    """Returns limits at least as loose as the given ones and as the model's own.

    Args:
        final: part with attributes `score_threshold` and `max_detections`; None of a
            detector without limits.
        score_threshold: float, 0..1; None takes the part's.
        max_detections: int; None takes the part's.

    Returns:
        tuple of (name, value), which can be the key of a dict.
    """
    if final is None:
        return ()
    threshold, limit = final.score_threshold, final.max_detections
    if score_threshold is not None and score_threshold < threshold:
        threshold = next(t for t in _THRESHOLDS if t <= score_threshold)
    if max_detections is not None and max_detections > limit:
        limit = next((m for m in _MAXIMA if m >= max_detections), int(max_detections))
    return ("score_threshold", threshold), ("max_detections", limit)


def check_limits(
    score_threshold: float | None = None, max_detections: int | None = None
):
    """Raises ValueError if a limit is out of range; None is allowed."""
    if score_threshold is not None and not 0.0 <= score_threshold <= 1.0:
        raise ValueError(
            "score_threshold must be a probability within 0..1; received "
            f"score_threshold={score_threshold}."
        )
    if max_detections is not None:
        check_whole_number("max_detections", max_detections)


def check_whole_number(name: str, value: float):
    """Raises ValueError if a value is not a whole number above 0."""
    if int(value) != value or value < 1:
        raise ValueError(
            f"{name} must be a whole number of at least 1; received {name}={value}."
        )
