"""The base class of all detectors: a Keras model that detects objects in photos."""

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import keras
import numpy as np

from keras_fpn.backbones.pixels import pixel_mean_and_std
from keras_fpn.distribute.model_class import model_class
from keras_fpn.distribute.replicas import global_sum, replica_count
from keras_fpn.layers import NormalizePixels
from keras_fpn.models.compiled import compiled_function
from keras_fpn.models.detect import detect
from keras_fpn.models.export_formats import (
    FORMAT,
    check_export_folder,
    check_export_format,
)
from keras_fpn.models.ground_truth import TARGETS, ground_truth
from keras_fpn.models.keypoint_set import KeypointSet
from keras_fpn.models.limits import shared_limits
from keras_fpn.models.loss_means import loss_means
from keras_fpn.models.parts import (
    Parts,
    check_classes,
    check_names,
    check_one_class,
    restored,
)
from keras_fpn.models.pasted_masks import ExactPaste, Paste
from keras_fpn.models.results import check_outputs, joined
from keras_fpn.models.stuff_set import StuffSet
from keras_fpn.models.target_check import checked_data
from keras_fpn.models.untracked import Untracked
from keras_fpn.preprocessing import Preprocessing


class Detector(model_class()):  # type: ignore[misc]  # depends on the backend
    """A functional model from padded images to padded results, made of parts.

    This class does not depend on the kind of detector. A subclass defines its graph and
    its losses by `stages`, `results` and `stage_losses`, each a few statements on its
    parts. The layers among the parts are attributes of the model, with the names of
    their fields: `model.box_head`.

    `trunk` is a second functional model over the same layers, whose outputs are what
    `stages` returns. In training the model returns these outputs, and `compute_loss`
    calls the heads on boxes that are sampled with the ground truth.

    Args:
        parts: `Parts` with a field `backbone`, a functional model float (B, H, W, 3) ->
            dict "C<l>" -> map.
        preprocessing: `keras_fpn.preprocessing.Preprocessing`. A mean and standard
            deviation that it does not define are the backbone's.
        class_names: list of str, K names.
        category_ids: list of int, K ids in the data set's files.
        name: str.

    Call arguments:
        inputs: dict with "images" float32 (B, H, W, 3), RGB, 0..255, padded at the
            right and bottom, "image_sizes" float32 (B, 2), height and width without the
            padding, pixels, and those in `extra_inputs`.

    Returns:
        dict of padded outputs; their names are in `keras_fpn.models.RESULTS`.

    Attributes:
        parts: `Parts`.
        seed: int, seed of the random numbers in training; saved with the model.

    Raises:
        ValueError: two parts, losses or outputs have the same name, a part has another
            number of classes, a class-agnostic detector has more classes than one, or
            an output is not in `keras_fpn.models.RESULTS`.
    """

    def __init__(
        self,
        parts,
        preprocessing: Preprocessing,
        class_names: Sequence[str],
        category_ids: Sequence[int],
        name: str | None = None,
    ):
        check_one_class(class_names, type(self))
        mean_and_std = pixel_mean_and_std(parts.backbone)
        preprocessing = preprocessing.completed(*mean_and_std)
        normalize = NormalizePixels(
            preprocessing.mean,  # type: ignore[arg-type]  # not None: completed above
            preprocessing.std,  # type: ignore[arg-type]
            name="normalize",
        )
        layers = parts.layers()
        check_classes(layers, class_names)
        check_names(layers, type(self))
        images = keras.Input((None, None, 3), name="images")
        sizes = keras.Input((2,), name="image_sizes")
        extra = {k: keras.Input(v, name=k) for k, v in self.extra_inputs.items()}
        stages = {**self.stages(parts, normalize(images, sizes), sizes), **extra}
        results = joined(self.results(parts, stages))
        check_outputs(results)
        inputs = {"images": images, "image_sizes": sizes, **extra}
        super().__init__(inputs=inputs, outputs=results, name=name)
        self.trunk = keras.Model(inputs, stages, name="trunk")
        self.parts = parts
        # Keras tracks only the layers that are attributes, not those inside `parts`.
        for part_name, layer in layers.items():
            setattr(self, part_name, layer)
        self.preprocessing = preprocessing
        self.class_names = list(class_names)
        self.category_ids = list(category_ids)
        self._compiled = Untracked({})
        self._loss_means = Untracked(loss_means(self.loss_names))
        # Random numbers depend on the step. It is saved with the model, so that a
        # resumed run samples the same boxes as a run that was not interrupted.
        self.training_step = self.add_weight(
            name="training_step",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.seed = 0

    # Names of the losses, in the order in which `fit` shows them.
    loss_names: tuple[str, ...] = ()

    # Names of the targets that the losses read.
    targets: tuple[str, ...] = TARGETS
    # Shapes, without the batch, of the inputs beside images and image_sizes; they are
    # added to the stages.
    extra_inputs: Mapping[str, tuple[int | None, ...]] = MappingProxyType({})

    # Whether it detects objects of any class, without saying which class.
    class_agnostic: bool = False

    # The metric by which the detector is judged, one of `CocoEvaluation`.
    monitor: str = "AP"

    @staticmethod
    def stages(parts: Parts, images, image_sizes):
        """Returns the tensors that the heads read, from the graph up to the heads.

        Args:
            parts: `Parts`.
            images: float (B, H, W, 3), normalized, 0 in the padding.
            image_sizes: float (B, 2), height and width without the padding, pixels.

        Returns:
            dict of tensors or of dicts of tensors, with `image_sizes` among them.
        """
        raise NotImplementedError

    @staticmethod
    def results(parts: Parts, stages, **limits):
        """Returns the outputs, by applying the heads to the stages.

        Args:
            parts: `Parts`.
            stages: dict, as returned by `stages`.
            **limits: optional `score_threshold` and `max_detections`, instead of those
                of the parts.

        Returns:
            dict of padded tensors, names as in `keras_fpn.models.RESULTS`; or a list of
            such dicts, one for each branch.
        """
        raise NotImplementedError

    def stage_losses(self, stages: dict, truth, seed: int, step, training: bool):
        """Yields (sums, count) for each stage.

        `sums` is a dict of loss name -> float32 scalar, and `count` a float32 scalar.
        The loss is the sum divided by the count, each over all replicas.

        Args:
            stages: dict, the outputs of `trunk`.
            truth: `GroundTruth`.
            seed: int, of the random numbers.
            step: int scalar tensor, the training step.
            training: bool.
        """
        raise NotImplementedError

    def final_part(self):
        """Returns the part that holds `score_threshold` and `max_detections`.

        None, of a detector that finds no objects, such as `SemanticFPN`.
        """
        raise NotImplementedError

    def merged(self, found: dict, photo_size: tuple[int, int]):
        """Returns the results for a photo, with what is made of several of them.

        Args:
            found: dict, as returned by `keras_fpn.models.results.of_photo`.
            photo_size: (height, width) of the photo, pixels.
        """
        return found

    @property
    def score_threshold(self):
        """float, 0..1, the default score threshold of `detect`."""
        return self.final_part().score_threshold

    @property
    def nms_threshold(self):
        """float, 0..1, the IoU above which one of two boxes of a class is dropped."""
        return self.final_part().nms_threshold

    @property
    def mask_paste(self) -> Paste:
        """The rule by which predicted masks, if any, become pixels of a photo."""
        return ExactPaste()

    @property
    def keypoint_set(self) -> KeypointSet | None:
        """`KeypointSet` of a detector that locates keypoints; None of others."""
        return None

    @property
    def stuff_set(self) -> StuffSet | None:
        """`StuffSet` of a panoptic detector; None of others."""
        return None

    @property
    def metrics(self):
        return [*super().metrics, *self._loss_means.value.values()]

    def call(self, inputs, training=None, mask=None):
        """Returns the outputs of `trunk` in training, and the results otherwise."""
        if training:
            return self.trunk(inputs, training=True)
        return super().call(inputs, training=False)

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, **kwargs):
        """Prepares for `fit`, see `keras.Model.compile`; losses are the detector's own.

        Raises:
            ValueError: a loss or weights of losses are given.
        """
        if loss is not None or loss_weights is not None:
            raise ValueError(
                f"A {type(self).__name__} must be compiled without losses, because it "
                f"has its own, {list(self.loss_names)}; received loss={loss!r}, "
                f"loss_weights={loss_weights!r}. Leave them out."
            )
        super().compile(optimizer, **kwargs)

    def compile_from_config(self, config):
        """Compiles as the model was when it was saved; losses are left out."""
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{**config, "loss": None, "loss_weights": None})
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains, see `keras.Model.fit`; targets are those of `compute_loss`.

        Raises:
            ValueError: targets are wrong, see `keras_fpn.models.target_check`.
        """
        if "labels" in self.targets:  # others may be of other classes
            num_classes = None if self.class_agnostic else len(self.class_names)
            x = checked_data(x, y, num_classes)
        return super().fit(x, y, *args, **kwargs)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the sum of the model's losses, each of which is a metric too.

        Each loss is a sum over all replicas divided by a count over all replicas, so it
        does not depend on the number of replicas.

        Args:
            x: dict, the model's inputs.
            y: dict with "boxes" float (B, G, 4), xyxy, input-image pixels, and "labels"
                int (B, G), 0..K-1, -1 for padding, unless the detector finds no
                objects; the others of `targets`; optional "is_crowd" bool (B, G) and
                "image_ids" int (B,), on which the random numbers depend.
            y_pred: the result of `call`.
            sample_weight: float (B,); an image with weight 0 does not count. None means
                1 for all images.
            training: bool.
        """
        stages = y_pred if training else self.trunk(x, training=False)
        truth = ground_truth(y, sample_weight, self.targets)
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

    detect = detect  # a method, which gets the detector as `model`

    def found(
        self,
        inputs,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ):
        """Returns the outputs for a batch of inputs, by a compiled function.

        This is faster than `predict` for single batches, because `predict` sets up a
        data iterator and callbacks in each call.

        Args:
            inputs: dict of arrays, the model's inputs.
            score_threshold: float, 0..1; None takes the model's own. Thresholds below
                it are rounded down to one of a few, so outputs may also have rows with
                lower scores, after all others.
            max_detections: int; None takes the model's own. Outputs may have more rows.

        Returns:
            dict of padded NumPy arrays.
        """
        limits = shared_limits(self.final_part(), score_threshold, max_detections)
        compiled = self._compiled.value
        if limits not in compiled:
            compiled[limits] = compiled_function(self, self._results_within(limits))
        outputs = compiled[limits](inputs)
        return {name: np.asarray(value) for name, value in outputs.items()}

    def _results_within(self, limits):
        """Returns a function from inputs to outputs, for `shared_limits`'s result."""
        if limits == shared_limits(self.final_part()):
            return lambda inputs: self(inputs, training=False)

        def results(inputs):
            stages = self.trunk(inputs, training=False)
            return joined(self.results(self.parts, stages, **dict(limits)))

        return results

    def export(self, filepath: str | os.PathLike, format=FORMAT, *args, **kwargs):
        """Writes a SavedModel that takes the model's inputs; see `keras.Model.export`.

        `keras_fpn.export.export_saved_model` writes one that takes photos.

        Raises:
            ValueError: the format is not "tf_saved_model", `filepath` has the suffix of
                another format, or the backend is not TensorFlow.
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
        seed = config.pop("seed", 0)  # absent from files of older versions
        config["preprocessing"] = Preprocessing.from_config(config["preprocessing"])
        if "parts" in config:
            config["parts"] = restored(config["parts"], custom_objects)
        else:
            config = cls.from_flat(config, custom_objects)
        model = cls(**config)
        model.seed = seed
        if not trainable:  # setting True would unfreeze layers that were frozen
            model.trainable = False
        return model

    @classmethod
    def from_flat(cls, config, custom_objects=None):
        """Returns constructor arguments from the config of an older version.

        Raises:
            ValueError: older versions did not have this class.
        """
        raise ValueError(
            f"The config of a {cls.__name__} must have 'parts'; received "
            f"{sorted(config)}."
        )
