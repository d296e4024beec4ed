"""Detection in photos of any size: in batches, or in an image pyramid of each."""

from functools import partial

from keras_fpn.models.given_proposals import check_given
from keras_fpn.models.image_pyramid import check_image_pyramid, detect_in_views
from keras_fpn.models.limits import check_limits, check_whole_number
from keras_fpn.models.results import Frame, check_mask_form, of_photo, with_masks
from keras_fpn.preprocessing import proposal_batch, read_photo


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
    masks,
    proposals,
):
    """Returns the results for each photo; arguments as those of `Detector.detect`."""
    check_limits(score_threshold, max_detections)
    check_whole_number("batch_size", batch_size)
    check_mask_form(masks)
    check_image_pyramid((1,) if scales is None else scales, merge)
    if not isinstance(images, (list, tuple)):
        images, proposals = [images], None if proposals is None else [proposals]
    check_given(model, proposals, len(images))
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
        batch_size = 1

        def found_in(photos, given, start):
            return [
                detect_in_views(
                    partial(_detect_batch, model, limits=limits, start=start),
                    photos[0],
                    size,
                    proposals=None if given is None else given[0],
                    iou_threshold=model.nms_threshold,
                    **views,
                    **limits,
                )
            ]
    else:

        def found_in(photos, given, start):
            size = min_size, max_size
            return _detect_batch(model, photos, size, given, limits, start)

    results = []
    for start in range(0, len(images), batch_size):
        photos = [read_photo(image) for image in images[start : start + batch_size]]
        given = None if proposals is None else proposals[start : start + batch_size]
        results += [
            with_masks(found, photo.shape[:2], masks, model.mask_threshold)
            for found, photo in zip(found_in(photos, given, start), photos, strict=True)
        ]
    return results


def _detect_batch(model, photos, size, proposals, limits, start):
    """Returns the results for photos that are one batch, list of dict."""
    inputs, resized = model.preprocessing.prepare(photos, *size)
    if proposals is not None:
        own = [photo.shape[:2] for photo in photos]
        inputs["proposals"] = proposal_batch(proposals, own, resized, start)
    outputs = model.found(inputs, **limits)
    frames = [
        Frame(image_size, photo.shape[:2])
        for image_size, photo in zip(resized, photos, strict=True)
    ]
    return [
        of_photo(outputs, index, frame, **limits) for index, frame in enumerate(frames)
    ]
