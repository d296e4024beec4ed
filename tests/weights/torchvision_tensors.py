"""State dicts as torchvision has them, written down from its modules' definitions."""

import numpy as np

VECTORS = ("weight", "bias", "running_mean", "running_var")


def conv_norm(conv, norm, shape):
    """Yields (key, shape) of a convolution and the batch norm behind it."""
    yield f"{conv}.weight", shape
    for vector in VECTORS:
        yield f"{norm}.{vector}", shape[:1]


def affine(key, shape):
    """Yields (key, shape) of a convolution or linear module with a bias."""
    yield f"{key}.weight", shape
    yield f"{key}.bias", shape[:1]


def resnet(depths, bottleneck):
    """Yields (key, shape) of a ResNet's body: convolutions (out, in, h, w)."""
    yield from conv_norm("conv1", "bn1", (64, 3, 7, 7))
    channels = 64
    for stage, depth in enumerate(depths, start=1):
        width = 64 * 2 ** (stage - 1)
        out = width * 4 if bottleneck else width
        for block in range(depth):
            place = f"layer{stage}.{block}"
            shapes = [(width, channels, 3, 3), (width, width, 3, 3)]
            if bottleneck:
                shapes = [(width, channels, 1, 1), (width, width, 3, 3)]
                shapes.append((out, width, 1, 1))
            for n, shape in enumerate(shapes, start=1):
                yield from conv_norm(f"{place}.conv{n}", f"{place}.bn{n}", shape)
            if block == 0 and channels != out:
                down = f"{place}.downsample"
                yield from conv_norm(f"{down}.0", f"{down}.1", (out, channels, 1, 1))
            channels = out


# Kernel, expanded and output channels, channels of the squeeze: Howard et al. 2019
# (arXiv:1905.02244), Table 1, the squeeze a quarter rounded to eights.
MOBILENET_BLOCKS = (
    (3, 16, 16, None),
    (3, 64, 24, None),
    (3, 72, 24, None),
    (5, 72, 40, 24),
    (5, 120, 40, 32),
    (5, 120, 40, 32),
    (3, 240, 80, None),
    (3, 200, 80, None),
    (3, 184, 80, None),
    (3, 184, 80, None),
    (3, 480, 112, 120),
    (3, 672, 112, 168),
    (5, 672, 160, 168),
    (5, 960, 160, 240),
    (5, 960, 160, 240),
)


def mobilenet_v3_large():
    """Yields (key, shape) of `features` of a MobileNetV3-Large."""
    yield from conv_norm("0.0", "0.1", (16, 3, 3, 3))
    channels = 16
    for number, (kernel, width, out, squeeze) in enumerate(MOBILENET_BLOCKS, start=1):
        parts = [[(width, channels, 1, 1)]] if width != channels else []
        parts.append([(width, 1, kernel, kernel)])
        if squeeze:
            parts.append([(squeeze, width, 1, 1), (width, squeeze, 1, 1)])
        parts.append([(out, width, 1, 1)])
        for part, shapes in enumerate(parts):
            place = f"{number}.block.{part}"
            if len(shapes) == 1:
                yield from conv_norm(f"{place}.0", f"{place}.1", shapes[0])
            else:
                yield from affine(f"{place}.fc1", shapes[0])
                yield from affine(f"{place}.fc2", shapes[1])
        channels = out
    yield from conv_norm("16.0", "16.1", (960, 160, 1, 1))


def numbered(entries, prefix=""):
    """Returns key -> array full of the entry's own number, from 1."""
    return {
        prefix + key: np.full(shape, number, "float32")
        for number, (key, shape) in enumerate(entries, start=1)
    }


def random(entries, prefix=""):
    """Returns key -> normal values, positive ones as variances."""
    generator = np.random.default_rng(0)
    tensors = {}
    for key, shape in entries:
        values = generator.normal(size=shape).astype("float32")
        positive = key.endswith("running_var")
        tensors[prefix + key] = np.abs(values) + 0.5 if positive else values
    return tensors
