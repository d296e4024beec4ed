"""The normalization of pixels that the weights of a backbone expect."""

# Mean and standard deviation of R, G, B in 0..1: of ImageNet, as in torchvision.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Subtracts the mean from 0..255 and divides by 1.
_IMAGENET_MEAN_ALONE = (_IMAGENET[0], (1 / 255, 1 / 255, 1 / 255))
_FROM_MINUS_TO_PLUS_ONE = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# By the name of the model, which is saved with it.
_OTHERS = {
    "mobilenet_v2": _FROM_MINUS_TO_PLUS_ONE,
    **dict.fromkeys(("msra_resnet50", "msra_resnet101"), _IMAGENET_MEAN_ALONE),
}

APPLICATION = "applications_"  # begins the names of models of keras.applications
# Caffe's pixels: 0..255 in the order B, G, R, minus a mean.
_CAFFE = (
    (123.68 / 255, 116.779 / 255, 103.939 / 255),
    (1 / 255, 1 / 255, 1 / 255),
)
_BY_128 = ((128 / 255,) * 3, (128 / 255,) * 3)
# What `preprocess_input` of a family does, or the model itself; by how names begin, the
# first that fits.
_APPLICATIONS = {
    "ConvNeXt": _IMAGENET,
    "DenseNet": _IMAGENET,
    "EfficientNetB": _IMAGENET,
    "EfficientNetV2B": _IMAGENET,
    "EfficientNetV2": _BY_128,
    "Inception": _FROM_MINUS_TO_PLUS_ONE,
    "MobileNet": _FROM_MINUS_TO_PLUS_ONE,
    "NASNet": _FROM_MINUS_TO_PLUS_ONE,
    **dict.fromkeys(
        ("ResNet50V2", "ResNet101V2", "ResNet152V2"), _FROM_MINUS_TO_PLUS_ONE
    ),
    "ResNet": _CAFFE,
    "VGG": _CAFFE,
    "Xception": _FROM_MINUS_TO_PLUS_ONE,
}


def pixel_mean_and_std(backbone):
    """Returns the mean and deviation of pixels for the ImageNet weights of a backbone.

    Args:
        backbone: functional model; one that is not from `keras_fpn.backbones`, or has
            another name, is assumed to expect the mean and deviation of ImageNet.

    Returns:
        mean, std: 3 floats each, of R, G, B in 0..1.
    """
    return of_application(backbone.name) or _OTHERS.get(backbone.name, _IMAGENET)


def channels_are_reversed(name: str):
    """Returns whether published weights of a model expect pixels in the order B, G, R.

    Args:
        name: str, name of a backbone.
    """
    return of_application(name) is _CAFFE


def of_application(name):
    """Returns mean and deviation for a model of keras.applications; None for others.

    Args:
        name: str, name of a backbone.
    """
    if not name.startswith(APPLICATION):
        return None
    own_name = name.removeprefix(APPLICATION)
    for family, mean_and_std in _APPLICATIONS.items():
        if own_name.startswith(family):
            return mean_and_std
    return None
