"""Detection in photos of any size: in batches, or in an image pyramid of each."""

from functools import partial

from keras_fpn.models.image_pyramid import check_image_pyramid, detect_in_views
from keras_fpn.models.limits import check_limits, check_whole_number
from keras_fpn.models.results import Frame, of_photo
from keras_fpn.preprocessing import read_photo


def detect(
    model,
    images,
    min_size,
    max_size,
    score_threshold,
    max_detections,
    batch_size,
    scales,
    flip,
    merge,
):
    """Returns the results for each photo; arguments as those of `Detector.detect`."""
    check_limits(score_threshold, max_detections)
    check_whole_number("batch_size", batch_size)
    check_image_pyramid((1,) if scales is None else scales, merge)
    if not isinstance(images, (list, tuple)):
        images = [images]
    own = model.final_part()
    threshold = own.score_threshold if score_threshold is None else score_threshold
    limit = own.max_detections if max_detections is None else max_detections
    limits = {"score_threshold": threshold, "max_detections": limit}
    if scales is not None or flip:
        size = (
            model.preprocessing.min_size if min_size is None else min_size,
            model.preprocessing.max_size if max_size is None else max_size,
        )
        views = {"scales": scales or (1,), "flip": flip, "merge": merge}
        return [
            detect_in_views(
                partial(_detect_batch, model, limits=limits),
                read_photo(image),
                size,
                iou_threshold=model.nms_threshold,
                **views,
                **limits,
            )
            for image in images
        ]
    results = []
    for start in range(0, len(images), batch_size):
        photos = [read_photo(image) for image in images[start : start + batch_size]]
        results += _detect_batch(model, photos, (min_size, max_size), limits)
    return results


def _detect_batch(model, photos, size, limits):
    """Returns the results for photos that are one batch, list of dict."""
    inputs, resized = model.preprocessing.prepare(photos, *size)
    outputs = model.found(inputs, **limits)
    frames = [
        Frame(image_size, photo.shape[:2])
        for image_size, photo in zip(resized, photos, strict=True)
    ]
    return [
        of_photo(outputs, index, frame, **limits) for index, frame in enumerate(frames)
    ]
