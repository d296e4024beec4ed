"""The functions that a server calls: photos in, boxes in each photo's pixels out."""

import tensorflow as tf

from keras_fpn.models.given_proposals import takes_proposals
from keras_fpn.models.results import COUNT, RESULTS, SEMANTIC_LOGITS
from keras_fpn.serving.detect_call_tensorflow import detect_call
from keras_fpn.serving.given_proposals_tensorflow import SPEC, checked_count, in_images
from keras_fpn.serving.read_photos_tensorflow import (
    OK,
    TOO_MANY,
    PhotoReader,
    read_batch,
)
from keras_fpn.serving.semantic_map_tensorflow import UNLABELLED, image_map

DEFAULT = "serving_default"
PIXELS = "image_tensor"
EXAMPLE = "tf_example"
XYXY = "xyxy"

_SWAPPED = [1, 0, 3, 2]  # xyxy to yxyx, and back
_OUTPUTS = {"boxes", "labels", "scores", "num_detections"}
# A model may have them, too.
_OTHERS = {"masks", "mask_windows", "keypoints", SEMANTIC_LOGITS}
SEMANTIC_MAP = "semantic_map"  # takes the place of the logits
# Outputs of a photo beyond the limit of a request; the others are 0.
_UNREAD = {
    "labels": -1,
    "detection_classes": -1,
    "status": TOO_MANY,
    SEMANTIC_MAP: UNLABELLED,
}


class Signatures:
    """A detector and the reading of photos as TensorFlow functions.

    Args: see `keras_fpn.export.export_saved_model`.

    Attributes:
        module: tf.Module to save the functions with; it holds their variables.
    """

    def __init__(
        self,
        model,
        frozen: bool,
        normalized_boxes: bool,
        with_xyxy: bool,
        max_pixels: int,
        max_photos: int,
    ):
        preprocessing = model.preprocessing
        self._divisor = preprocessing.size_divisor
        self._reader = PhotoReader(preprocessing, max_pixels)
        self._category_ids = model.category_ids
        self._normalized = normalized_boxes
        self._with_xyxy = with_xyxy
        self._max_photos = max_photos
        self._given = [SPEC] if takes_proposals(model) else []
        # This class is not a tf.Module itself: a function, with its constants, would be
        # saved once more for each attribute that refers to it.
        self.module = tf.Module(name="detector")
        self._detect, self.module.weights = detect_call(model, frozen)

    def functions(self):
        """Returns the signatures, dict of name -> concrete function."""
        strings = tf.TensorSpec((None,), tf.string, "inputs")
        pixels = tf.TensorSpec((None, None, None, 3), tf.uint8, "inputs")
        read = self._reader
        garden = self._garden_outputs, self._from_garden
        kinds = {
            DEFAULT: (strings, read.encoded, *garden),
            PIXELS: (pixels, read.pixels, *garden),
            EXAMPLE: (strings, read.example, *garden),
        }
        if self._with_xyxy:
            kinds[XYXY] = (strings, read.encoded, self._own_outputs, self._from_own)
        return {name: self._function(*kind) for name, kind in kinds.items()}

    def _function(self, spec, read, named, boxes_of):
        @tf.function(input_signature=[spec, *self._given], autograph=False)
        def serve(inputs, proposals=None):
            return self._serve(inputs, read, named, boxes_of, proposals)

        return serve.get_concrete_function()

    def _serve(self, inputs, read, named, boxes_of, proposals):
        count = tf.shape(inputs)[0]
        with tf.device("CPU:0"):  # reads strings, and resizes as `detect` does
            # Kernels fail on an empty batch: it gets a photo, which is dropped below.
            photos = _pad_rows(inputs[: self._max_photos], tf.cast(count < 1, tf.int32))
            images, resized, sizes, status = read_batch(photos, read, self._divisor)
        own = tf.cast(sizes, tf.float32)
        batch = {"images": images, "image_sizes": resized}
        if proposals is not None:
            given = checked_count(proposals, count)[: self._max_photos]
            given = _pad_rows(given, tf.cast(count < 1, tf.int32))
            batch["proposals"] = in_images(boxes_of(given, own), own, resized)
        found = self._detect(batch)
        there = tf.equal(status, OK)
        scale = tf.math.divide_no_nan(own, resized)  # 0 if there is no photo
        maps = {}  # of images, which no scale turns into photos
        if SEMANTIC_LOGITS in found:
            sizes = tf.where(there[:, None], resized, 0.0)
            maps[SEMANTIC_MAP] = image_map(found.pop(SEMANTIC_LOGITS), sizes)
        found = {
            name: _in_photos(name, value, scale, there) for name, value in found.items()
        }
        outputs = {**named(found, own, resized), **maps}
        outputs["status"] = status
        unread = tf.maximum(count - self._max_photos, 0)
        return {
            name: _pad_rows(value[:count], unread, _UNREAD.get(name, 0))
            for name, value in outputs.items()
        }

    def _garden_outputs(self, found, own, resized):
        """Returns the outputs with the names and axis order of the Model Garden."""
        scale = tf.math.divide_no_nan(resized, own)
        info = tf.stack([own, resized, scale, tf.zeros_like(own)], axis=1)
        outputs = {"image_info": info}
        if "boxes" in found:
            outputs |= {
                "detection_boxes": self._garden_boxes(found["boxes"], own),
                "detection_classes": self._ids(found["labels"]),
                "detection_scores": found["scores"],
                "num_detections": found["num_detections"],
            }
        if "masks" in found:
            outputs["detection_masks"] = found["masks"]
        if "mask_windows" in found:
            windows = self._garden_boxes(found["mask_windows"], own)
            outputs["detection_outer_boxes"] = windows
        if "keypoints" in found:
            points = found["keypoints"][..., 1::-1]  # y, x
            if self._normalized:
                points = tf.math.divide_no_nan(points, own[:, None, None])
            outputs["detection_keypoints"] = points
            outputs["detection_keypoint_scores"] = found["keypoints"][..., 2]
        return outputs

    def _garden_boxes(self, boxes, own):
        """Returns boxes as y1, x1, y2, x2, as shares of the photo if asked for."""
        boxes = tf.gather(boxes, _SWAPPED, axis=-1)
        return tf.math.divide_no_nan(boxes, _sides(own)) if self._normalized else boxes

    def _from_garden(self, boxes, own):
        """Returns boxes xyxy in pixels from boxes as in `_garden_outputs`."""
        if self._normalized:
            boxes = boxes * _sides(own)
        return tf.gather(boxes, _SWAPPED, axis=-1)

    def _own_outputs(self, found, own, resized):
        """Returns the outputs of `detect`, padded.

        Without boxes, there would be none but a map, which needs `image_info`.
        """
        if "boxes" not in found:
            return self._garden_outputs(found, own, resized)
        return dict(found)

    def _from_own(self, boxes, own):
        """Returns boxes xyxy in pixels from boxes as in `_own_outputs`."""
        return boxes

    def _ids(self, labels):
        ids = tf.gather(
            tf.constant(self._category_ids, tf.int32), tf.maximum(labels, 0)
        )
        return tf.where(labels < 0, -1, ids)


def _sides(own):
    """Returns height, width, height, width of photos, float32 (B, 1, 4)."""
    return tf.tile(own, (1, 2))[:, None, :]


def _in_photos(name, value, scale, there):
    """Returns an output in the photos' pixels, as padding if there is no photo.

    Args:
        name: str, in `keras_fpn.models.results.RESULTS`, or its count.
        value: tensor (B, D, ...), or (B,) for the count.
        scale: float32 (B, 2), photo / image, of height and width.
        there: bool (B,), whether the photo could be read.
    """
    if name == COUNT:
        return tf.where(there, value, 0)
    result = RESULTS[name]
    if result.kind == "boxes":
        return value * tf.tile(scale[:, ::-1], (1, 2))[:, None, :]  # 0 without a photo
    if result.kind == "keypoints":
        own = tf.cast(there, tf.float32)[:, None]  # of scores
        scale = tf.concat([scale[:, ::-1], own], axis=1)
        return value * scale[:, None, None]
    there = tf.reshape(there, [-1] + [1] * (value.shape.rank - 1))
    return tf.where(there, value, tf.cast(result.padding, value.dtype))


def _pad_rows(value, count, fill=0):
    """Returns a tensor with `count` more rows of one value; 0 means "" for strings."""
    fill = "" if value.dtype == tf.string and fill == 0 else fill
    margins = [[0, count]] + [[0, 0]] * (value.shape.rank - 1)
    return tf.pad(value, margins, constant_values=fill)


def check_outputs(model):
    """Raises ValueError if a model has outputs that cannot be served yet."""
    names = set(model.output)
    if names != {SEMANTIC_LOGITS} and names - _OTHERS != _OUTPUTS:
        raise ValueError(
            f"A model to export must have the outputs {sorted(_OUTPUTS)}, and may have "
            f"{sorted(_OTHERS)}, or {SEMANTIC_LOGITS!r} alone; received {model.name} "
            f"with {sorted(names)}. Other outputs cannot be served yet."
        )
