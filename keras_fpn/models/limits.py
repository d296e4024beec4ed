"""How few results a user wants: checked, and few enough to compile for."""

# Looser limits than a detector's own are rounded to these, so that however many are
# asked for, few functions are compiled. What is rounded away comes last in the outputs
# and is left out afterwards: the results are equal to those of the very limits.
_THRESHOLDS = (0.01, 0.0)
_MAXIMA = (100, 300, 1000, 3000)


def shared_limits(final, score_threshold=None, max_detections=None):
    """Returns limits that are no stricter than others: the own ones, or looser.

    Args:
        final: part with a `score_threshold` and `max_detections` of its own.
        score_threshold: float, 0..1, or None: its own.
        max_detections: int, or None: its own.

    Returns:
        tuple of (name, value), which can be a key.
    """
    threshold, limit = final.score_threshold, final.max_detections
    if score_threshold is not None and score_threshold < threshold:
        threshold = next(t for t in _THRESHOLDS if t <= score_threshold)
    if max_detections is not None and max_detections > limit:
        limit = next((m for m in _MAXIMA if m >= max_detections), int(max_detections))
    return ("score_threshold", threshold), ("max_detections", limit)


def check_limits(score_threshold=None, max_detections=None):
    """Raises ValueError if a threshold is no probability, or a maximum no count."""
    if score_threshold is not None and not 0.0 <= score_threshold <= 1.0:
        raise ValueError(
            "score_threshold must be a probability, 0 to 1; received "
            f"score_threshold={score_threshold}."
        )
    if max_detections is not None:
        check_whole_number("max_detections", max_detections)


def check_whole_number(name, value):
    """Raises ValueError if a value is not a whole number of at least 1."""
    if int(value) != value or value < 1:
        raise ValueError(
            f"{name} must be a whole number of at least 1; received {name}={value}."
        )
