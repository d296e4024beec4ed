"""The colors of classes, and of text on them."""

import colorsys

import numpy as np

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def class_color(label: int) -> tuple[int, ...]:
    """Returns the color of a class, (R, G, B) of 0..255; it depends only on the label.

    Consecutive labels are far apart on the color circle (steps of the golden ratio) and
    also differ in brightness, which helps color-blind people.
    """
    hue = (0.02 + int(label) * 0.618034) % 1
    saturation, value = ((0.85, 1.0), (1.0, 0.75), (0.45, 1.0))[int(label) % 3]
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value))


def check_labels(labels):
    """Raises for negative labels, int (n,)."""
    negative = sorted({int(label) for label in labels if label < 0})
    if negative:
        raise ValueError(
            f"Labels must be 0 or more; received labels {negative}. Leave out the "
            "padding, -1."
        )


def ink(color):
    """Returns black or white, whichever has more contrast to a color (WCAG 2)."""
    channels = np.asarray(color) / 255
    dark = channels <= 0.04045
    linear = np.where(dark, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return (
        BLACK if luminance > 0.18 else WHITE
    )  # at 0.18 both have a contrast of 4.6 to 1
