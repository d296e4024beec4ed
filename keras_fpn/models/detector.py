"""The one object a user holds: a Keras model that detects in photos."""

import collections

import keras
import numpy as np

from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.distribute.replicas import global_sum, replica_count
from keras_fpn.layers import NormalizePixels
from keras_fpn.models.compiled import compiled_function
from keras_fpn.models.export_formats import (
    FORMAT,
    check_export_folder,
    check_export_format,
)
from keras_fpn.models.ground_truth import ground_truth
from keras_fpn.models.limits import check_limits, check_whole_number, shared_limits
from keras_fpn.models.parts import Parts, restored
from keras_fpn.models.results import Frame, check_outputs, of_photo
from keras_fpn.preprocessing import Preprocessing, read_photo


def _model_class():
    """Returns `keras.Model`, or what trains it on several replicas of TensorFlow's."""
    if keras.backend.backend() != "tensorflow":
        return keras.Model
    from keras_fpn.distribute.model_tensorflow import DistributedModel

    return DistributedModel


class Detector(_model_class()):  # type: ignore[misc]  # depends on the backend
    """A functional model from padded images to padded results, made of parts.

    It knows no head. A subclass says what its figure is: `stages`, `results` and
    `stage_losses`, each a few statements over its parts. The parts' layers are the
    model's attributes, under the names of their fields.

    `trunk` is the graph of the stages over the same layers, a functional model whose
    outputs are what `stages` returns. In training the model returns them, and
    `compute_loss` calls the heads on what is sampled with the ground truth.

    Args:
        parts: `Parts` with a "backbone", a functional model float (B, H, W, 3) -> dict
            "C<l>" -> map.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`; without a mean and a
            deviation of its own it gets the backbone's.
        class_names: list of str, K names.
        category_ids: list of int, K identifiers in the data set's files.
        name: str.

    Call arguments:
        inputs: dict, "images" float32 (B, H, W, 3), RGB, 0..255, padded at the right
            and bottom, and "image_sizes" float32 (B, 2), height and width without it.

    Returns:
        dict of the outputs, padded; their names are in `keras_fpn.models.RESULTS`.

    Attributes:
        parts: `Parts`.
        seed: int, seed of the random numbers in training; saved with the model.

    Raises:
        ValueError: two parts, two losses or two outputs have one name, or an output is
            not in the table of results.
    """

    def __init__(self, parts, preprocessing, class_names, category_ids, name=None):
        mean_and_std = pixel_mean_and_std(parts.backbone)
        preprocessing = preprocessing.completed(*mean_and_std)
        normalize = NormalizePixels(
            preprocessing.mean, preprocessing.std, name="normalize"
        )
        layers = parts.layers()
        _check_classes(layers, class_names)
        images = keras.Input((None, None, 3), name="images")
        sizes = keras.Input((2,), name="image_sizes")
        stages = self.stages(parts, normalize(images, sizes), sizes)
        results = self.results(parts, stages)
        check_outputs(results)
        inputs = {"images": images, "image_sizes": sizes}
        super().__init__(inputs=inputs, outputs=results, name=name)
        self.trunk = keras.Model(inputs, stages, name="trunk")
        self.parts = parts
        for part_name, layer in layers.items():  # Keras looks into attributes alone
            setattr(self, part_name, layer)
        self.preprocessing = preprocessing
        self.class_names = list(class_names)
        self.category_ids = list(category_ids)
        self._compiled = _Untracked({})
        self._loss_means = _Untracked(_means(self.loss_names))
        # Random numbers depend on it. It is saved with the model, so a resumed run
        # samples what the interrupted one would have sampled.
        self.training_step = self.add_weight(
            name="training_step",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.seed = 0

    # Names of the losses, in the order in which `fit` prints them.
    loss_names: tuple[str, ...] = ()

    # Whether the results have no classes: it finds objects of any class.
    class_agnostic: bool = False

    # The number that says how good the detector is, as `CocoEvaluation` names it.
    monitor: str = "AP"

    @staticmethod
    def stages(parts: Parts, images, image_sizes):
        """Returns what the heads read: the graph up to them.

        Args:
            parts: `Parts`.
            images: float (B, H, W, 3), normalized, 0 in the padding.
            image_sizes: float (B, 2), pixels.

        Returns:
            dict of tensors or of dicts of tensors, the sizes among them.
        """
        raise NotImplementedError

    @staticmethod
    def results(parts: Parts, stages, **limits):
        """Returns the outputs: the heads on the stages.

        Args:
            parts: `Parts`.
            stages: dict, what `stages` returned.
            **limits: "score_threshold" and "max_detections", if others than those of
                the parts.

        Returns:
            dict of tensors, padded; names as in `keras_fpn.models.RESULTS`.
        """
        raise NotImplementedError

    def stage_losses(self, stages, truth, seed, step, training):
        """Yields (sums, count): losses by name as sums, and what divides them.

        Args:
            stages: dict, the outputs of `trunk`.
            truth: `GroundTruth`.
            seed, step: int and int scalar tensor, of the random numbers.
            training: bool.
        """
        raise NotImplementedError

    def final_part(self):
        """Returns the part with the results' `score_threshold` and `max_detections`."""
        raise NotImplementedError

    @property
    def score_threshold(self):
        """float, 0..1: results score above it, unless `detect` is told otherwise."""
        return self.final_part().score_threshold

    @property
    def metrics(self):
        return [*super().metrics, *self._loss_means.value.values()]

    def call(self, inputs, training=None, mask=None):
        """Returns the trunk's stages in training, else the results."""
        if training:
            return self.trunk(inputs, training=True)
        return super().call(inputs, training=False)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the sum of the model's losses; each is a metric too.

        Every loss is a sum over all replicas divided by a count over all replicas, so
        the number of replicas changes nothing.

        Args:
            x: dict, the model's inputs.
            y: dict, "boxes" float (B, G, 4), xyxy, input pixels, and "labels" int
                (B, G), 0..K-1, -1 for padding; optional "is_crowd" bool (B, G) and
                "image_ids" int (B,), on which the random numbers depend.
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
        for loss in self.losses:  # regularization
            total = total + loss / replica_count()
        return total

    def detect(
        self,
        images,
        min_size: int | None = None,
        max_size: int | None = None,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        batch_size: int = 1,
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
            max_detections: int, detections per photo at most; None, the model's.
            batch_size: int, photos that share one padded batch. With 1, each photo is
                padded to its own multiple of 32 and gives exactly the reference's
                result. In a batch all are padded to the largest, which shifts anchors
                of coarse levels and so boxes slightly, as it does in the reference.

        Returns:
            list with a dict per photo: "boxes" float32 (n, 4), xyxy, the photo's own
            pixels; "labels" int32 (n,), indices into `class_names`; "scores" float32
            (n,), best first; and what else the detector finds.

        Raises:
            ValueError: a photo cannot be read, or an argument is out of range.
        """
        check_limits(score_threshold, max_detections)
        check_whole_number("batch_size", batch_size)
        if not isinstance(images, (list, tuple)):
            images = [images]
        own = self.final_part()
        threshold = own.score_threshold if score_threshold is None else score_threshold
        limit = own.max_detections if max_detections is None else max_detections
        results = []
        for start in range(0, len(images), batch_size):
            photos = [read_photo(image) for image in images[start : start + batch_size]]
            inputs, resized = self.preprocessing.prepare(photos, min_size, max_size)
            outputs = self.found(inputs, threshold, limit)
            for index, (photo, size) in enumerate(zip(photos, resized, strict=True)):
                frame = Frame(size, photo.shape[:2])
                results.append(of_photo(outputs, index, frame, threshold, limit))
        return results

    def found(
        self,
        inputs,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ):
        """Returns the outputs for a batch of inputs, by a compiled function.

        Faster than `predict` for single batches: nothing is set up with each call.

        Args:
            inputs: dict of arrays, the model's inputs.
            score_threshold: float, 0..1; None, the model's own. Looser ones share a few
                compiled functions, so outputs may have lower scores, which come last.
            max_detections: int; None, the model's own. Outputs may have more rows.

        Returns:
            dict of NumPy arrays, padded.
        """
        limits = shared_limits(self.final_part(), score_threshold, max_detections)
        compiled = self._compiled.value
        if limits not in compiled:
            compiled[limits] = compiled_function(self, self._results_within(limits))
        outputs = compiled[limits](inputs)
        return {name: np.asarray(value) for name, value in outputs.items()}

    def _results_within(self, limits):
        """Returns the function from inputs to outputs for some of `_limits`."""
        if limits == shared_limits(self.final_part()):
            return lambda inputs: self(inputs, training=False)

        def results(inputs):
            stages = self.trunk(inputs, training=False)
            return self.results(self.parts, stages, **dict(limits))

        return results

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
            "parts": keras.saving.serialize_keras_object(self.parts),
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
        config["preprocessing"] = Preprocessing.from_config(config["preprocessing"])
        if "parts" in config:
            config["parts"] = restored(config["parts"], custom_objects)
        else:
            config = cls.from_flat(config, custom_objects)
        model = cls(**config)
        model.seed = seed
        if not trainable:  # to be set alone: it reaches every layer within
            model.trainable = False
        return model

    @classmethod
    def from_flat(cls, config, custom_objects=None):
        """Returns the constructor's arguments of a config that older code saved.

        Raises:
            ValueError: no older code saved this class.
        """
        raise ValueError(
            f"A saved {cls.__name__} must have 'parts'; received {sorted(config)}."
        )


class _Untracked:
    """Holds what Keras must neither save nor count among the model's layers."""

    def __init__(self, value):
        self.value = value


def _check_classes(layers, class_names):
    """Raises where a part was made for another number of classes."""
    for name, layer in layers.items():
        count = getattr(layer, "num_classes", len(class_names))
        if count != len(class_names):
            raise ValueError(
                f"{name} must have as many classes as class_names, "
                f"{len(class_names)}; received {name}.num_classes={count}. Leave "
                f"{name} out, or give the names of its classes."
            )


def _means(names):
    """Returns a metric for each loss, by name."""
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"Each loss must have a name of its own; received {names}, {twice} twice."
        )
    return {name: keras.metrics.Mean(name=name) for name in names}
