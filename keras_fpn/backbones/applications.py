"""Models of keras.applications as bottom-up pathways: image -> C2..C5."""

import keras
import numpy as np

from keras_fpn.backbones.pixels import APPLICATION, channels_are_reversed
from keras_fpn.weights.registry import known_names

_LEVELS = {"C2": 4, "C3": 8, "C4": 16, "C5": 32}  # strides, pixels
_PROBE_SIDE = 256  # pixels of the image with which the sizes of maps are measured
_OWN_NORMALIZATION = (keras.layers.Rescaling, keras.layers.Normalization)


def from_applications(name: str, weights: str | None = None) -> keras.Model:
    """A model of keras.applications up to its last map of each stride, 4 to 32.

    A normalization of pixels within the model is left out: the detector does the same
    before, so that the padding is 0, and models that expect BGR get the channels of
    their first kernel in the order of RGB. Batch norms are Keras's own, which learn in
    training unless the backbone is frozen by `trainable = False`.

    Args:
        name: str, a function of keras.applications, such as "EfficientNetV2B0".
        weights: None, random; or "imagenet", which Keras downloads.

    Returns:
        functional `keras.Model`, float (B, H, W, 3), normalized ->
        dict "C<l>" -> float (B, H / 2^l, W / 2^l, C_l), l = 2..5.

    Raises:
        ValueError: keras.applications has no such model (the error lists similar
            names), weights are neither None nor "imagenet", or the model has no map of
            one of the strides, such as InceptionV3, whose convolutions are not padded.
    """
    names = application_names()
    if name not in names:
        raise ValueError(
            f"name must be a model of keras.applications; received name={name!r}. "
            f"{known_names(name, names)}"
        )
    if weights not in (None, "imagenet"):
        raise ValueError(
            f"weights must be None or 'imagenet'; received weights={weights!r}. Load "
            "others by load_weights of the backbone."
        )
    # A name of its own: ResNet50 of keras.applications is not `resnet50`.
    own_name = APPLICATION + name
    build = getattr(keras.applications, name)
    net = build(include_top=False, weights=weights, input_shape=(None, None, 3))
    start, operations = _after_normalization(net)
    maps = _last_maps(start, operations, name)
    if channels_are_reversed(own_name):
        first = next(x for x in operations if isinstance(x, keras.layers.Conv2D))
        first.kernel.assign(np.flip(first.kernel, axis=2))
    return keras.Model(start, maps, name=own_name)


def application_names():
    """Returns the names of all models of keras.applications, list of str."""
    public = vars(keras.applications).items()
    return [name for name, value in public if name[0].isupper() and callable(value)]


def _after_normalization(net):
    """Returns the tensor after a model's own normalization, and what follows it.

    The tensor is the model's input if it has none. What follows are layers and other
    operations, such as the sums of ConvNeXt, in the order of computation.
    """
    last = max(
        place
        for place, each in enumerate(net.operations)
        if isinstance(each, (*_OWN_NORMALIZATION, keras.layers.InputLayer))
    )
    return net.operations[last].output, net.operations[last + 1 :]


def _last_maps(start, operations, name):
    """Returns the last map of each of the strides, dict of level -> tensor."""
    outputs = [each.output for each in operations]
    sides = _sides(start, outputs, name)
    last = dict(zip(sides, outputs, strict=True))
    wanted = {level: _PROBE_SIDE // stride for level, stride in _LEVELS.items()}
    missing = [level for level, side in wanted.items() if side not in last]
    if missing:
        raise ValueError(
            f"A backbone must have maps of strides {[*_LEVELS.values()]}; received "
            f"name={name!r}, whose maps of an image of {_PROBE_SIDE} pixels have sides "
            f"{sorted(set(sides), reverse=True)}, none for {missing}. Choose another."
        )
    return {level: last[side] for level, side in wanted.items()}


def _sides(start, outputs, name):
    """Returns the side of each map of a square probe image, list of int; 1 of vectors.

    Raises:
        ValueError: the model cannot take an image of this size.
    """
    probe = (1, _PROBE_SIDE, _PROBE_SIDE, 3)
    try:
        shapes = keras.Model(start, outputs).compute_output_shape(probe)
    except ValueError as error:
        raise ValueError(
            "A backbone must take images of any size; received "
            f"name={name!r}, which takes none of {_PROBE_SIDE} pixels. Choose another."
        ) from error
    return [shape[1] if len(shape) == 4 else 1 for shape in shapes]
