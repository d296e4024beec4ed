"""The one object a user holds: a Keras model that detects in photos."""

import keras
import numpy as np

from keras_fpn.distribute.replicas import global_sum, replica_count
from keras_fpn.models.compiled import compiled_call
from keras_fpn.models.export_formats import (
    FORMAT,
    check_export_folder,
    check_export_format,
)
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.preprocessing import Preprocessing, boxes_to_photo, read_photo


def _model_class():
    """Returns `keras.Model`, or what trains it on several replicas of TensorFlow's."""
    if keras.backend.backend() != "tensorflow":
        return keras.Model
    from keras_fpn.distribute.model_tensorflow import DistributedModel

    return DistributedModel


class Detector(_model_class()):  # type: ignore[misc]  # depends on the backend
    """A functional model from padded images to padded detections, and what goes with
    it: how photos become its inputs, and what its labels mean.

    A subclass wires its graph, then calls `super().__init__(inputs, outputs, ...)`.

    Args:
        inputs: dict of `KerasTensor`: "images" float32 (B, H, W, 3), RGB, 0..255,
            padded at the right and bottom; "image_sizes" float32 (B, 2), height and
            width without the padding.
        candidates: dict of `KerasTensor`, the call arguments of `detections`.
        detections: `keras_fpn.layers.Detections`.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`.
        class_names: list of str, K names.
        category_ids: list of int, K identifiers in the data set's files.

    Attributes:
        seed: int, what chance is drawn for while training; saved with the model.
    """

    def __init__(
        self,
        inputs,
        candidates,
        detections,
        preprocessing,
        class_names,
        category_ids,
        **kwargs,
    ):
        super().__init__(inputs=inputs, outputs=detections(**candidates), **kwargs)
        self.detections = detections
        self.preprocessing = preprocessing
        self.class_names = list(class_names)
        self.category_ids = list(category_ids)
        self._candidates = _Untracked(candidates)
        self._compiled = _Untracked({})
        self._loss_means = _Untracked(
            {name: keras.metrics.Mean(name=name) for name in self.loss_names}
        )
        # The step that chance is drawn for; saved with the model, so that a resumed run
        # draws what the interrupted one would have drawn.
        self.training_step = self.add_weight(
            name="training_step",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.seed = 0

    @property
    def score_threshold(self):
        """float, 0..1: detections score above it, unless `detect` is told otherwise."""
        return self.detections.score_threshold

    @property
    def metrics(self):
        return [*super().metrics, *self._loss_means.value.values()]

    def call(self, inputs, training=None, mask=None):
        """Returns the trunk's stages while training, else detections."""
        if training:
            return self.trunk(inputs, training=True)
        return super().call(inputs, training=False)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the sum of the model's losses; each is a metric too.

        Every loss is a sum over all replicas divided by a count over all replicas, so
        that the number of replicas changes nothing.

        Args:
            x: dict, the model's inputs.
            y: dict, "boxes" float (B, G, 4), xyxy, input pixels, and "labels" int
                (B, G), 0..K-1, -1 for padding; optional "is_crowd" bool (B, G) and
                "image_ids" int (B,), for which chance is drawn.
            y_pred: what `call` returned.
            sample_weight: float (B,); 0 leaves an image out. None: 1 for all.
            training: bool.
        """
        stages = y_pred if training else self.trunk(x, training=False)
        truth = ground_truth(y, sample_weight)
        step = keras.ops.convert_to_tensor(self.training_step)
        total = 0.0
        for sums, count in self.stage_losses(stages, truth, self.seed, step, training):
            count = keras.ops.maximum(global_sum(count), 1.0)
            for name, value in sums.items():
                loss = value / count
                self._loss_means.value[name].update_state(loss * replica_count())
                total = total + loss
        if training:
            self.training_step.assign(step + 1)
        for loss in self.losses:  # regularisation
            total = total + loss / replica_count()
        return total

    def detect(
        self,
        images,
        min_size=None,
        max_size=None,
        score_threshold=None,
        max_detections=None,
        batch_size=1,
    ):
        """Detects objects in photos of any sizes.

        Args:
            images: a photo or a list of them: path, PIL image, or uint8 array
                (H, W, 3), (H, W, 4) or (H, W); EXIF rotation is applied to paths and
                PIL images.
            min_size: int, pixels, what the shorter side is resized to; None, as the
                model was trained.
            max_size: int, pixels, what the longer side may not exceed.
            score_threshold: float, 0..1; None, the model's own.
            max_detections: int, detections per photo at the most; None, the model's.
            batch_size: int, photos that share one padded batch. With 1, each photo is
                padded to its own multiple of 32 and gives exactly the reference's
                result. In a batch all are padded to the largest, which shifts anchors
                of coarse levels and so boxes slightly, as it does in the reference.

        Returns:
            list with a dict per photo: "boxes" float32 (n, 4), xyxy, the photo's own
            pixels; "labels" int32 (n,), places in `class_names`; "scores" float32 (n,),
            best first.

        Raises:
            ValueError: a photo cannot be read, or an argument is out of range.
        """
        _check_detect_arguments(score_threshold, max_detections, batch_size)
        if not isinstance(images, (list, tuple)):
            images = [images]
        threshold = _given(score_threshold, self.score_threshold)
        limit = _given(max_detections, self.detections.max_detections)
        call = self._compiled_for(threshold, limit)
        results = []
        for start in range(0, len(images), batch_size):
            photos = [read_photo(image) for image in images[start : start + batch_size]]
            inputs, resized = self.preprocessing.prepare(photos, min_size, max_size)
            outputs = {name: np.asarray(value) for name, value in call(inputs).items()}
            for place, (photo, size) in enumerate(zip(photos, resized, strict=True)):
                found = {name: value[place] for name, value in outputs.items()}
                results.append(_of_photo(found, size, photo.shape, threshold, limit))
        return results

    def _compiled_for(self, score_threshold, max_detections):
        """Returns a compiled function whose detections include the ones asked for.

        Stricter limits need no other graph: what they drop comes last.
        """
        own = self.detections
        threshold = min(score_threshold, own.score_threshold)
        limit = max(max_detections, own.max_detections)
        compiled = self._compiled.value
        if (threshold, limit) not in compiled:
            model, detections = self, own
            if (threshold, limit) != (own.score_threshold, own.max_detections):
                config = {**own.get_config(), "score_threshold": threshold}
                # Of the same class, with all its other arguments.
                detections = type(own).from_config({**config, "max_detections": limit})
                candidates = self._candidates.value
                model = keras.Model(self.input, detections(**candidates))
            compiled[threshold, limit] = compiled_call(model), detections
        call, detections = compiled[threshold, limit]
        if detections is not own and own.weights:  # which may have changed since
            detections.set_weights(own.get_weights())
        return call

    def export(self, filepath, format=FORMAT, *args, **kwargs):
        """Writes a SavedModel that takes the model's inputs; see `keras.Model.export`.

        One that takes photos is written by `keras_fpn.export.export_saved_model`.

        Raises:
            ValueError: the format is another one, or the backend is not TensorFlow.
        """
        check_export_format(format)
        check_export_folder(filepath)
        return super().export(filepath, format, *args, **kwargs)

    def get_config(self):
        return {
            "name": self.name,
            "trainable": self.trainable,
            **{
                name: keras.saving.serialize_keras_object(part)
                for name, part in self.parts().items()
            },
            "preprocessing": self.preprocessing.to_config(),
            "class_names": self.class_names,
            "category_ids": self.category_ids,
            "seed": int(self.seed),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        trainable = config.pop("trainable", True)
        seed = config.pop("seed", 0)  # older files have none
        preprocessing = Preprocessing.from_config(config.pop("preprocessing"))
        parts = {
            name: keras.saving.deserialize_keras_object(part, custom_objects)
            if isinstance(part, dict)
            else part
            for name, part in config.items()
        }
        model = cls(preprocessing=preprocessing, **parts)
        model.seed = seed
        if not trainable:  # to be set alone: it reaches every layer within
            model.trainable = False
        return model

    # Names of the losses, in the order in which `fit` prints them.
    loss_names: tuple[str, ...] = ()

    def stage_losses(self, stages, truth, seed, step, training):
        """Yields (sums, count): losses by name as sums, and what divides them.

        Args:
            stages: dict, the outputs of `trunk`.
            truth: `GroundTruth`.
            seed, step: int and int scalar tensor, what chance is drawn for.
            training: bool.
        """
        raise NotImplementedError

    def parts(self):
        """Returns what the model was wired from, by constructor argument."""
        raise NotImplementedError

    def layer_parts(self):
        """Returns those parts that can have weights, by constructor argument."""
        return {
            name: part
            for name, part in self.parts().items()
            if isinstance(part, keras.layers.Layer)
        }


class _Untracked:
    """Holds what Keras must neither save nor count among the model's layers."""

    def __init__(self, value):
        self.value = value


def _given(value, default):
    return default if value is None else value


def _check_detect_arguments(score_threshold, max_detections, batch_size):
    if score_threshold is not None and not 0.0 <= score_threshold <= 1.0:
        raise ValueError(
            "score_threshold must be a probability, 0 to 1; received "
            f"score_threshold={score_threshold}."
        )
    for name, value in (
        ("max_detections", max_detections),
        ("batch_size", batch_size),
    ):
        if value is not None and (int(value) != value or value < 1):
            raise ValueError(
                f"{name} must be a whole number of at least 1; received {name}={value}."
            )


def _of_photo(found, resized_size, photo_shape, score_threshold, max_detections):
    """Returns the detections of one photo in its own pixels, without the padding."""
    count = min(int(found["num_detections"]), max_detections)
    scores = found["scores"][:count]
    count = int(np.sum(scores > score_threshold))
    boxes = boxes_to_photo(found["boxes"][:count], resized_size, photo_shape[:2])
    return {
        "boxes": boxes,
        "labels": found["labels"][:count],
        "scores": scores[:count],
    }
