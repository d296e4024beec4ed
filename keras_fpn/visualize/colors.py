"""The colors of classes, and what is legible on them."""

import colorsys

import numpy as np

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def class_color(label: int):
    """Returns the color of a class, (R, G, B) of 0..255; it depends only on the label.

    Consecutive labels are far apart on the color wheel (steps of the golden ratio) and
    also differ in brightness, which helps people with color blindness.
    """
    hue = (0.02 + int(label) * 0.618034) % 1
    saturation, value = ((0.85, 1.0), (1.0, 0.75), (0.45, 1.0))[int(label) % 3]
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value))


def color_numbers(labels, class_names):
    """Returns what to color objects by, int (n,), for `class_color`.

    That is their class; or, if there is only one, their place in the list, because its
    color would tell nothing.

    Args:
        labels: int (n,).
        class_names: names by label.
    """
    return np.arange(len(labels)) if len(class_names) == 1 else np.asarray(labels)


def check_labels(labels, class_names=None):
    """Raises ValueError if a label, int (n,), is negative, or has no name if given."""
    end, expected = np.inf, "0 or more"
    if class_names is not None:
        end = len(class_names)
        expected = f"0..{end - 1}, one for each class name"
    wrong = sorted({int(label) for label in labels if not 0 <= label < end})
    if wrong:
        raise ValueError(
            f"Labels must be {expected}; received labels {wrong}. Remove the padding, "
            "-1."
        )


def ink(color):
    """Returns black or white, whichever contrasts more with a color (WCAG 2)."""
    return BLACK if _luminance(color) > 0.18 else WHITE  # at 0.18 both have 4.6 to 1


def on_white(color):
    """Returns a color, if needed darkened until it has a contrast of 3 to 1 to white.

    So much WCAG 2 asks of lines in charts.
    """
    shares = np.linspace(1, 0, 65)
    darker = (tuple(round(value * share) for value in color) for share in shares)
    return next(one for one in darker if 1.05 / (_luminance(one) + 0.05) >= 3)


def _luminance(color):
    """Returns the relative luminance of a color, 0..1 (WCAG 2)."""
    channels = np.asarray(color) / 255
    dark = channels <= 0.04045
    linear = np.where(dark, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]
