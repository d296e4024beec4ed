"""Changes the colors of a sample as another camera or light would."""

import dataclasses

import numpy as np

from keras_fpn.data.limits import check_share, checked_range

_GRAY = np.array([0.299, 0.587, 0.114], np.float32)  # weights of R, G, B, from Rec. 601
_STRIP = 1 << 15  # pixels changed at once, so that they stay in the CPU cache


@dataclasses.dataclass(frozen=True)
class Photometric:
    """Changes brightness, contrast, saturation and hue, each at random.

    The order is as listed, but contrast comes last in half of the cases. Brightness
    multiplies the pixels, contrast moves them away from or toward the mean gray of the
    image, saturation away from or toward their own gray, and hue rotates the HSV color
    circle. Each result is clipped to 0..255.

    Source: Liu et al. 2016 (SSD, arXiv:1512.02325), Sec. 2.2, with torchvision's
    ranges. Deviations: color channels are not permuted, and uint8 images are rounded
    once, at the end.

    Args:
        brightness, contrast, saturation: low and high of the factor, at least 0; 1
            changes nothing, and 0 gives black, a single gray, or shades of gray.
        hue: low and high of the rotation, -0.5..0.5 of the circle; 0 changes nothing.
        probability: float, 0..1, of each of the four changes.

    Call arguments:
        sample: dict; see keras_fpn.data.sample. Its image, uint8 or float32, is 0..255.
        generator: numpy.random.Generator; see `random_generator`.

    Returns:
        dict, the sample, its image of the same dtype. Objects do not move.

    Raises:
        ValueError: a range is not two ascending numbers within its limits, or
            probability is outside 0..1.
    """

    brightness: tuple[float, float] = (0.875, 1.125)
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: tuple[float, float] = (-0.05, 0.05)
    probability: float = 0.5

    def __post_init__(self):
        for name in ("brightness", "contrast", "saturation", "hue"):
            limits = (-0.5, 0.5) if name == "hue" else (0, np.inf)
            pair = checked_range(name, getattr(self, name), *limits)
            object.__setattr__(self, name, pair)
        check_share(probability=self.probability)

    def __call__(self, sample, generator):
        randoms = generator.random(9)  # always all of them, so that they stay the same
        used = randoms[:4] < self.probability
        names = ["brightness", "saturation", "hue", "contrast"]
        if randoms[4] < 0.5:
            names.insert(1, names.pop())
        steps = []
        for name, use, share in zip(names, used, randoms[5:], strict=True):
            low, high = getattr(self, name)
            if use:
                steps.append((name, np.float32(low + share * (high - low))))
        return (
            {**sample, "image": _changed(sample["image"], steps)} if steps else sample
        )


def _changed(image, steps):
    """Returns the image after steps, pairs of a name and its factor."""
    planes = np.array(image.reshape(-1, 3).T, np.float32, order="C")  # (3, H W), a copy
    pending: list[tuple] = []
    for name, factor in steps:
        if name == "contrast":  # needs the mean of all the steps before it
            _in_strips(planes, pending)
            mean = np.float32((planes.mean(axis=1, dtype=np.float64) * _GRAY).sum())
            pending = [(_set_contrast, (factor, mean))]
        else:
            pending.append((_STEPS[name], (factor,)))
    _in_strips(planes, pending)
    if image.dtype == np.uint8:
        np.rint(planes, out=planes)
    changed = np.empty(image.shape, image.dtype)
    np.copyto(changed.reshape(-1, 3), planes.T, casting="unsafe")
    return changed


def _in_strips(planes, steps):
    """Applies steps, pairs of a function and its arguments, in place."""
    for start in range(0, planes.shape[1], _STRIP):
        strip = planes[:, start : start + _STRIP]
        for function, arguments in steps:
            function(strip, *arguments)


def _set_brightness(planes, factor):
    """Multiplies the pixels, float32 (3, n), 0..255, in place."""
    planes *= factor
    np.minimum(planes, 255, out=planes)


def _set_contrast(planes, factor, mean):
    """Moves the pixels, float32 (3, n), 0..255, from or toward one gray, in place."""
    planes *= factor
    planes += (1 - factor) * mean
    np.clip(planes, 0, 255, out=planes)


def _set_saturation(planes, factor):
    """Moves the pixels, float32 (3, n), 0..255, from or toward gray, in place."""
    red, green, blue = (1 - factor) * _GRAY
    # Not by `@`: linear algebra libraries do not guarantee the same bits every time.
    gray = red * planes[0] + green * planes[1] + blue * planes[2]
    planes *= factor
    planes += gray
    np.clip(planes, 0, 255, out=planes)


def _turn_hue(planes, turn):
    """Rotates the hues of the pixels, float32 (3, n), 0..255, in place.

    In HSV each channel is the maximum minus chroma times a trapezoid wave, which rises
    and falls once around the circle of six sextants, shifted differently by channel.
    """
    red, green, blue = planes
    largest, least = planes.max(axis=0), planes.min(axis=0)
    chroma = largest - least
    divisor = np.maximum(chroma, np.float32(1e-6))  # a gray has no hue: any is fine
    sextant = (red - green) / divisor + 4
    sextant = np.where(largest == green, (blue - red) / divisor + 2, sextant)
    sextant = np.where(largest == red, (green - blue) / divisor, sextant)
    sextant += 6 * turn
    sextant -= 6 * np.floor(sextant / 6)
    # How much of the chroma each channel has: 0 where it is least, 1 where it is most.
    planes[0] = np.abs(sextant - 3) - 1
    planes[1] = 2 - np.abs(sextant - 2)
    planes[2] = 2 - np.abs(sextant - 4)
    np.clip(planes, 0, 1, out=planes)
    planes *= chroma
    planes += least


_STEPS = {
    "brightness": _set_brightness,
    "saturation": _set_saturation,
    "hue": _turn_hue,
}
