"""Builds a detector for other classes from a trained one."""

import dataclasses
from collections.abc import Sequence

from keras_fpn.layers import KeypointPredictor, StuffPredictor
from keras_fpn.models.class_columns import copy_weights, renewed
from keras_fpn.models.keypoint_set import KeypointSet
from keras_fpn.models.stuff_set import StuffSet, known_stuff
from keras_fpn.preprocessing import Preprocessing


def kept_classes(source, class_names: Sequence[str]):
    """Returns those of the classes that a detector already knows, list of str.

    Args:
        source: detector.
        class_names: in any order.
    """
    return [name for name in class_names if name in source.class_names]


def with_classes(
    source,
    class_names: Sequence[str],
    category_ids: Sequence[int],
    preprocessing: Preprocessing | None = None,
    keypoints: KeypointSet | None = None,
    stuff: StuffSet | None = None,
):
    """Builds a detector of the same architecture for other classes.

    It has the weights of the source, except those of classes. Classes that have the
    same name in both keep their weights, and so does the background; the others are
    random. If no class is known, all of these weights are random. The new detector has
    the current dtype policy of Keras, and all of it is trainable, however the source
    was trained.

    Args:
        source: `keras_fpn.models.Detector`, which is not changed.
        class_names: K names.
        category_ids: K identifiers in the data set's files.
        preprocessing: None, that of the source, which also replaces a mean and a
            deviation that are None.
        keypoints: `KeypointSet`, of a detector that locates some; None, those of the
            source. Keypoints that have the same name in both keep their weights.
        stuff: `StuffSet`, of a panoptic detector; None, that of the source. "Things",
            and stuff that has the same name in both, keep their weights.

    Returns:
        detector of the same kind, not compiled; its training step is 0. One that is
        class-agnostic keeps its single class.
    """
    if source.class_agnostic:  # its one class, "object", stays
        class_names, category_ids = source.class_names, source.category_ids
    own = source.preprocessing
    preprocessing = (preprocessing or own).completed(own.mean, own.std)
    parts = renewed(source.parts, len(class_names))
    replaced: tuple[str, ...] = ()
    if keypoints is not None:
        parts = _with_keypoints(parts, keypoints)
        replaced = (*replaced, "keypoint_predictor")
    if stuff is not None:
        parts = _with_stuff(parts, stuff)
        replaced = (*replaced, "semantic_predictor")
    model = type(source)(
        parts=parts,
        preprocessing=preprocessing,
        class_names=class_names,
        category_ids=[int(number) for number in category_ids],
        name=source.name,
    )
    model.seed = source.seed
    known = _known_labels(source, model)
    copy_weights(source.parts, model.parts, known, left_out=replaced)
    if keypoints is not None:
        _copy_keypoints(source, model)
    if stuff is not None:
        _copy_stuff(source, model)
    return model


def resized(
    preprocessing: Preprocessing,
    min_size: int | None = None,
    max_size: int | None = None,
):
    """Returns a `Preprocessing` that resizes to other sizes.

    Args:
        preprocessing: which is not changed.
        min_size: pixels of the shorter side; None, unchanged.
        max_size: pixels, the limit of the longer side; None, in proportion to min_size.
    """
    if min_size is None:
        min_size = preprocessing.min_size
    if max_size is None:
        ratio = min_size / preprocessing.min_size
        max_size = round(preprocessing.max_size * ratio)
    return dataclasses.replace(preprocessing, min_size=min_size, max_size=max_size)


def _known_labels(source, model):
    """Returns (label in the model, label in the source) of classes in both, list."""
    old_names, new_names = source.class_names, model.class_names
    if old_names == new_names:  # names may be there twice, such as COCO's "N/A"
        return [(label, label) for label in range(len(new_names))]
    return [
        (label, old_names.index(name))
        for label, name in enumerate(new_names)
        if name in old_names
    ]


def _with_keypoints(parts, keypoints):
    """Returns parts with a new predictor of other keypoints."""
    predictor = KeypointPredictor(len(keypoints), name="keypoint_predictor")
    branch = dataclasses.replace(
        parts.keypoint, keypoint_predictor=predictor, keypoint_set=keypoints
    )
    return dataclasses.replace(parts, keypoint=branch)


def _with_stuff(parts, stuff):
    """Returns parts with a new predictor of other stuff."""
    predictor = StuffPredictor(len(stuff), name="semantic_predictor")
    branch = dataclasses.replace(
        parts.semantic, semantic_predictor=predictor, stuff=stuff
    )
    return dataclasses.replace(parts, semantic=branch)


def _copy_stuff(source, model):
    """Copies the weights of "things", and of stuff with the same name in both."""
    known = known_stuff(source.stuff_set, model.stuff_names)
    new, old = (
        [0, *(place + 1 for place in places)]
        for places in (zip(*known, strict=True) if known else ((), ()))
    )
    layers = (source.semantic_predictor.logits, model.semantic_predictor.logits)
    (kernel, bias), (own_kernel, own_bias) = (one.get_weights() for one in layers)
    own_kernel, own_bias = own_kernel.copy(), own_bias.copy()
    own_kernel[..., new], own_bias[new] = kernel[..., old], bias[old]
    layers[1].set_weights([own_kernel, own_bias])


def _copy_keypoints(source, model):
    """Copies the heat maps' weights of keypoints that have the same name in both."""
    old_names = source.keypoint_set.names
    known = [
        (new, old_names.index(name))
        for new, name in enumerate(model.keypoint_set.names)
        if name in old_names
    ]
    if not known:
        return
    new, old = (list(indices) for indices in zip(*known, strict=True))
    layers = (source.keypoint_predictor.upsample, model.keypoint_predictor.upsample)
    (kernel, bias), (own_kernel, own_bias) = (one.get_weights() for one in layers)
    own_kernel, own_bias = own_kernel.copy(), own_bias.copy()
    own_kernel[:, :, new], own_bias[new] = kernel[:, :, old], bias[old]
    layers[1].set_weights([own_kernel, own_bias])
