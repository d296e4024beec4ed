"""The tensors of a deformable convolution, in chunks and as factors of a product."""

from keras import ops

# Output cells per chunk: what a 3x3 kernel reads for them in 256 channels is 9 MiB.
_CHUNK = 1024


class Chunks:
    """Divides the output cells of all images into chunks of the same size.

    Args:
        offsets: (B, h, w, D), one row per output cell.

    Attributes:
        count: int, number of chunks.
        numbers: int32 (count, P), the cells, counted through all images. Cells that
            fill the last chunk repeat the last cell.
    """

    def __init__(self, offsets):
        self._shape = ops.shape(offsets)[:3]
        self._cells = self._shape[0] * self._shape[1] * self._shape[2]
        self.count = self._cells // _CHUNK + 1
        self._size = (self._cells + self.count - 1) // self.count
        numbers = ops.arange(self.count * self._size, dtype="int32")
        numbers = ops.minimum(numbers, self._cells - 1)
        self.numbers = ops.reshape(numbers, (self.count, self._size))

    def split(self, value):
        """Returns (B, h, w, D) as (count, P, D), the last chunk filled with zeros."""
        channels = value.shape[3]
        value = ops.reshape(value, (self._cells, channels))
        filling = self.count * self._size - self._cells
        value = ops.pad(value, ((0, filling), (0, 0)))
        return ops.reshape(value, (self.count, self._size, channels))

    def join(self, value):
        """Returns (count, P, D) as (B, h, w, D)."""
        channels = value.shape[2]
        value = ops.reshape(value, (self.count * self._size, channels))
        return ops.reshape(value[: self._cells], (*self._shape, channels))


def flat_cells(inputs, geometry):
    """Returns the cells of all images and groups, float (B * H * W * G, C / G)."""
    return ops.reshape(inputs, (-1, inputs.shape[3] // geometry.deformable_groups))


def grouped_kernel(kernel, geometry):
    """Returns the kernel as (groups, K * C / groups, O / groups)."""
    channels, outputs = kernel.shape[2], kernel.shape[3] // geometry.groups
    kernel = ops.reshape(kernel, (-1, channels, geometry.groups, outputs))
    kernel = ops.transpose(kernel, (2, 0, 1, 3))
    return ops.reshape(kernel, (geometry.groups, -1, outputs))


def ungrouped_kernel(grouped, kernel, geometry):
    """Returns what `grouped_kernel` returned, in the shape of the kernel."""
    shape = (geometry.groups, -1, kernel.shape[2], grouped.shape[2])
    grouped = ops.transpose(ops.reshape(grouped, shape), (1, 2, 0, 3))
    return ops.reshape(grouped, kernel.shape)


def grouped_columns(columns, geometry):
    """Returns (P, K, G, C / G) as (groups, P, K * C / groups)."""
    taps, parts, channels = columns.shape[1:]
    of_group = parts * channels // geometry.groups
    columns = ops.reshape(columns, (-1, taps, geometry.groups, of_group))
    columns = ops.transpose(columns, (2, 0, 1, 3))
    return ops.reshape(columns, (geometry.groups, -1, taps * of_group))


def ungrouped_columns(columns, channels, geometry):
    """Returns (groups, P, K * C / groups) as float32 (P, K, G, C / G = channels)."""
    taps = geometry.kernel_size[0] * geometry.kernel_size[1]
    shape = (geometry.groups, -1, taps, columns.shape[2] // taps)
    columns = ops.transpose(ops.reshape(columns, shape), (1, 2, 0, 3))
    columns = ops.reshape(columns, (-1, taps, geometry.deformable_groups, channels))
    return ops.cast(columns, "float32")
