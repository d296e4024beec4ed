"""The pixels that a backbone's weights expect."""

# Mean and deviation of R, G, B in 0..1: of ImageNet's photos, as torchvision has them.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_FROM_MINUS_TO_PLUS_ONE = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# By the name of the model, which stays with it in a file.
_OTHERS = {"mobilenet_v2": _FROM_MINUS_TO_PLUS_ONE}


def pixel_mean_and_std(backbone):
    """Returns what pixels are normalised by for a backbone's ImageNet weights.

    Args:
        backbone: functional model; one that is not of `keras_fpn.backbones`, or was
            given another name, is taken to expect ImageNet's mean and deviation.

    Returns:
        mean, std: 3 floats each, of R, G, B in 0..1.
    """
    return _OTHERS.get(backbone.name, _IMAGENET)
