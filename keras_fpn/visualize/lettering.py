"""Letters on pictures: legible at any size, also under a title."""

from PIL import Image, ImageDraw, ImageFont

from keras_fpn.visualize.colors import WHITE

# The "side" of a picture is the root of its area: unlike its shorter side, it stays
# sensible for panoramas.
_LEGIBLE_SIDE = 400  # labels would hide smaller photos, so those are enlarged,
_LARGEST_SIDE = 4096  # unless their longer side would exceed this
_FONT_SHARE = 1 / 36  # of the side
_SMALLEST_FONT = 13  # pixels; the strokes of smaller letters run together
# Pillow's own font has only English letters; these are tried for others.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "arial.ttf",
    "msyh.ttc",
    "Arial Unicode.ttf",
)
_TITLE_GROUND = (32, 32, 32)


def enlarged(pixels, enlarge: bool = True):
    """Returns a photo as a picture on which letters are legible.

    Args:
        pixels: uint8 (H, W, 3).
        enlarge: whether a small photo is enlarged.

    Returns:
        picture: PIL.Image, the photo enlarged by the factor.
        factor: int, 1 unless the photo is small.
    """
    height, width = pixels.shape[:2]
    wanted = -(-_LEGIBLE_SIDE // max(1.0, (height * width) ** 0.5))
    factor = int(max(1, min(wanted, _LARGEST_SIDE // max(height, width))))
    factor = factor if enlarge else 1
    picture = Image.fromarray(pixels)
    if factor > 1:
        size = width * factor, height * factor
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return picture, factor


def letter_size(picture):
    """Returns the size of the letters on a picture, int, pixels."""
    side = (picture.width * picture.height) ** 0.5
    return max(_SMALLEST_FONT, round(side * _FONT_SHARE))


def font_for(texts, size):
    """Returns Pillow's own font, or a system font that lacks fewer of the letters."""
    letters = set("".join(texts))
    fonts = [ImageFont.load_default(size)]
    for name in _SYSTEM_FONTS:
        if not _lacking(fonts[0], letters):
            break
        try:
            fonts.append(ImageFont.truetype(name, size))
        except OSError:  # this system does not have it
            continue
        fonts.sort(key=lambda font: _lacking(font, letters))
    return fonts[0]


def _lacking(font, letters):
    """Returns how many of the letters a font lacks."""
    unknown = bytes(font.getmask("\uffff"))
    return sum(bytes(font.getmask(letter)) == unknown for letter in letters)


def with_title(picture, title, font):
    """Returns the picture below a strip with the title."""
    strip = title_strip(title, font, picture.width)
    whole = Image.new("RGB", (picture.width, picture.height + strip.height))
    whole.paste(strip)
    whole.paste(picture, (0, strip.height))
    return whole


def title_strip(title, font, width):
    """Returns a title as a strip of this width, PIL.Image, in lines as needed."""
    margin = max(4, round(font.size / 2))
    lines = _wrapped(title, font, width - 2 * margin)
    row = sum(font.getmetrics())
    strip = Image.new("RGB", (width, row * len(lines) + margin), _TITLE_GROUND)
    draw = ImageDraw.Draw(strip)
    for i, line in enumerate(lines):
        corner = (margin, margin / 2 + row * (i + 0.5))
        draw.text(corner, line, fill=WHITE, font=font, anchor="lm")
    return strip


def _wrapped(text, font, room):
    """Returns lines that fit into the room; words are broken only if too long."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return lines
