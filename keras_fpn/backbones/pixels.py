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


def pixel_mean_and_std(backbone):
    """Returns the mean and deviation of pixels for the ImageNet weights of a backbone.

    Args:
        backbone: functional model; one that is not from `keras_fpn.backbones`, or has
            another name, is assumed to expect the mean and deviation of ImageNet.

    Returns:
        mean, std: 3 floats each, of R, G, B in 0..1.
    """
    return _OTHERS.get(backbone.name, _IMAGENET)
