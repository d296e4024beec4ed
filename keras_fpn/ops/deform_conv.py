"""Deformable convolution: offsets move the points at which a kernel reads."""

from collections.abc import Callable

from keras import ops

from keras_fpn.ops.deform_points import Geometry, by_point, four_cells, points
from keras_fpn.ops.kernels import native_kernels_run

# Output cells per chunk: what a 3x3 kernel reads for them in 256 channels is 9 MiB.
_CHUNK = 1024


def deform_conv(
    inputs,
    kernel,
    offsets,
    mask=None,
    strides: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    deformable_groups: int = 1,
    groups: int = 1,
):
    """Returns a convolution whose kernel reads at points that offsets move.

    The value at a point is bilinear between the four cells around it; cells outside the
    map count as 0. At a coordinate <= -1, or >= the number of cells, the value is 0,
    and so is its gradient. With offsets of 0 and no mask it is a plain convolution.

    Nothing but the arguments is kept for the gradient. Both passes go through chunks of
    output cells and need the memory of a few chunks: a 3x3 convolution of a map of
    200x200 cells and 256 channels needs 150 to 300 MiB, its gradients included, where
    all that the kernel reads is 352 MiB.

    Source: Dai et al. 2017 (arXiv:1703.06211), Sec. 2.1, with the mask of Zhu et al.
    2019 (arXiv:1811.11168), Sec. 3.2. The gradient of an offset by which a point is at
    exactly -1 is 0 as in FaPN; torchvision's is one-sided. They differ for offsets of 0
    and padding of 1, so at the start of a training.

    Args:
        inputs: float (B, H, W, C).
        kernel: float (kh, kw, C / groups, O).
        offsets: float (B, h, w, deformable_groups * kh * kw * 2), cells of the input,
            ordered by group, position in the kernel by rows, y before x.
        mask: float (B, h, w, deformable_groups * kh * kw), factors of what is read, in
            the same order; None means 1.
        strides, dilation: int or (vertical, horizontal), as of any convolution.
        padding: int or (vertical, horizontal), cells of zeros on each side.
        deformable_groups: int; each group of C / deformable_groups channels has offsets
            and a mask of its own.
        groups: int, of the convolution; each of O / groups outputs reads C / groups
            channels.

    Returns:
        float (B, h, w, O), the dtype of the inputs, where
        h = floor((H + 2 * padding - dilation * (kh - 1) - 1) / strides) + 1.

    Raises:
        ValueError: a number of groups does not divide the channels, or the kernel, the
            offsets or the mask do not have the shape above.
    """
    geometry = Geometry(
        tuple(kernel.shape[:2]),
        _pair(strides),
        _pair(padding),
        _pair(dilation),
        deformable_groups,
        groups,
        ops.shape(inputs)[1:3],
        ops.shape(offsets)[1:3],
    )
    _check(inputs, kernel, offsets, mask, geometry)
    if 0 in inputs.shape:  # nothing to gather from
        return ops.zeros((*ops.shape(offsets)[:3], kernel.shape[3]), inputs.dtype)
    if mask is None:
        mask = ops.ones_like(offsets[..., ::2])
    tensors = [ops.convert_to_tensor(x) for x in (inputs, kernel, offsets, mask)]
    if native_kernels_run():
        from keras_fpn.ops.deform_conv_tensorflow import loop_in_turn, read_by_crops

        return _convolution(tensors, geometry, read_by_crops, loop_in_turn)
    return _convolution(tensors, geometry, read_by_gathers, ops.fori_loop)


def read_by_gathers(inputs, geometry: Geometry):
    """Returns a function that reads for output cells, in `keras.ops` alone.

    Args:
        inputs: float (B, H, W, C).
        geometry: `Geometry`.

    Returns:
        function (numbers int32 (P,), offsets (P, 2 * G * K), mask (P, G * K)) ->
        float (P, K, G, C / G), multiplied by the mask.
    """
    cells = _cells(inputs, geometry)

    def read(numbers, offsets, mask):
        total = 0.0
        mask = by_point(mask, geometry)
        where = points(numbers, offsets, geometry)
        for cell, weight, _, _ in four_cells(where, geometry):
            values = ops.cast(ops.take(cells, cell, axis=0), "float32")
            total += values * (weight * mask)[..., None]
        return ops.cast(total, inputs.dtype)

    return read


def _convolution(tensors, geometry: Geometry, reader: Callable, loop: Callable):
    """Returns the convolution by chunks of output cells.

    Args:
        tensors: inputs, kernel, offsets and mask.
        geometry: `Geometry`.
        reader: `read_by_gathers`, or a function that returns the same.
        loop: `ops.fori_loop`, or a function that returns the same.
    """

    def forward(inputs, kernel, offsets, mask):
        chunks = _Chunks(offsets)
        read = reader(inputs, geometry)
        grouped = _grouped_kernel(kernel, geometry)

        def convolve(part):
            columns = _grouped_columns(read(*part), geometry)
            outputs = ops.transpose(ops.matmul(columns, grouped), (1, 0, 2))
            return ops.reshape(outputs, (-1, kernel.shape[3]))

        parts = (chunks.numbers, chunks.split(offsets), chunks.split(mask))
        return chunks.join(ops.map(convolve, parts))

    @ops.custom_gradient
    def differentiable(*tensors):
        return forward(*tensors), lambda up: _gradients(up, tensors, geometry, loop)

    return differentiable(*tensors)


def _gradients(upstream, tensors, geometry: Geometry, loop: Callable):
    """Returns the gradients of inputs, kernel, offsets and mask."""
    inputs, kernel, offsets, mask = tensors
    chunks = _Chunks(offsets)
    cells = _cells(inputs, geometry)
    grouped = _grouped_kernel(kernel, geometry)
    parts = [chunks.numbers, *map(chunks.split, (offsets, mask, upstream))]

    def add_chunk(number, sums):
        of_cells, of_kernel, of_offsets, of_masks = sums
        here = [ops.take(part, number, axis=0) for part in parts]
        of_cells, of_chunk = _chunk_gradients(here, cells, grouped, of_cells, geometry)
        start = (number, 0, 0)
        return (
            of_cells,
            of_kernel + of_chunk[0],
            ops.slice_update(of_offsets, start, of_chunk[1][None]),
            ops.slice_update(of_masks, start, of_chunk[2][None]),
        )

    def zeros_like(value):
        return ops.zeros(ops.shape(value), "float32")

    sums = tuple(map(zeros_like, (cells, grouped, *parts[1:3])))
    sums = loop(0, chunks.count, add_chunk, sums)
    gradients = (
        ops.reshape(sums[0], ops.shape(inputs)),
        _ungrouped_kernel(sums[1], kernel, geometry),
        chunks.join(sums[2]),
        chunks.join(sums[3]),
    )
    pairs = zip(gradients, tensors, strict=True)
    return tuple(ops.cast(gradient, tensor.dtype) for gradient, tensor in pairs)


def _chunk_gradients(part, cells, grouped, of_cells, geometry):
    """Returns the gradients of one chunk.

    Args:
        part: numbers, offsets and mask as of `read_by_gathers`, and the gradient of the
            outputs, float (P, O).
        cells: float (cells of all images and groups, C / G).
        grouped: float (groups, K * C / groups, O / groups), the kernel.
        of_cells: float32, gradient of the cells so far.

    Returns:
        of_cells: with this chunk's gradient.
        of_chunk: gradients of `grouped`, `offsets` and `mask`, float32.
    """
    numbers, offsets, mask, upstream = part
    upstream = ops.reshape(upstream, (-1, geometry.groups, grouped.shape[2]))
    upstream = ops.transpose(upstream, (1, 0, 2))
    of_columns = ops.matmul(upstream, ops.transpose(grouped, (0, 2, 1)))
    of_columns = _ungrouped_columns(of_columns, cells.shape[1], geometry)
    masks = by_point(mask, geometry)
    columns = of_mask = of_y = of_x = 0.0
    where = points(numbers, offsets, geometry)
    for cell, weight, slope_y, slope_x in four_cells(where, geometry):
        values = ops.cast(ops.take(cells, cell, axis=0), "float32")
        columns += values * (weight * masks)[..., None]
        similarity = ops.sum(values * of_columns, axis=-1)
        of_mask += similarity * weight
        of_y += similarity * slope_y
        of_x += similarity * slope_x
        of_cells = ops.scatter_update(
            of_cells,
            ops.reshape(cell, (-1, 1)),
            ops.reshape(of_columns * (weight * masks)[..., None], (-1, cells.shape[1])),
            reduction="add",
        )
    columns = _grouped_columns(ops.cast(columns, cells.dtype), geometry)
    of_kernel = ops.matmul(ops.transpose(columns, (0, 2, 1)), upstream)
    of_offsets = ops.stack([of_y * masks, of_x * masks], axis=-1)  # (P, K, G, 2)
    of_offsets = ops.transpose(of_offsets, (0, 2, 1, 3))
    of_mask = ops.transpose(of_mask, (0, 2, 1))
    return of_cells, (
        ops.cast(of_kernel, "float32"),
        ops.reshape(of_offsets, (-1, offsets.shape[1])),
        ops.reshape(of_mask, (-1, mask.shape[1])),
    )


class _Chunks:
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


def _cells(inputs, geometry):
    """Returns the cells of all images and groups, float (B * H * W * G, C / G)."""
    return ops.reshape(inputs, (-1, inputs.shape[3] // geometry.deformable_groups))


def _grouped_kernel(kernel, geometry):
    """Returns the kernel as (groups, K * C / groups, O / groups)."""
    channels, outputs = kernel.shape[2], kernel.shape[3] // geometry.groups
    kernel = ops.reshape(kernel, (-1, channels, geometry.groups, outputs))
    kernel = ops.transpose(kernel, (2, 0, 1, 3))
    return ops.reshape(kernel, (geometry.groups, -1, outputs))


def _ungrouped_kernel(grouped, kernel, geometry):
    """Returns what `_grouped_kernel` returned, in the shape of the kernel."""
    shape = (geometry.groups, -1, kernel.shape[2], grouped.shape[2])
    grouped = ops.transpose(ops.reshape(grouped, shape), (1, 2, 0, 3))
    return ops.reshape(grouped, kernel.shape)


def _grouped_columns(columns, geometry):
    """Returns (P, K, G, C / G) as (groups, P, K * C / groups)."""
    taps, parts, channels = columns.shape[1:]
    of_group = parts * channels // geometry.groups
    columns = ops.reshape(columns, (-1, taps, geometry.groups, of_group))
    columns = ops.transpose(columns, (2, 0, 1, 3))
    return ops.reshape(columns, (geometry.groups, -1, taps * of_group))


def _ungrouped_columns(columns, channels, geometry):
    """Returns (groups, P, K * C / groups) as float32 (P, K, G, C / G = channels)."""
    taps = geometry.kernel_size[0] * geometry.kernel_size[1]
    shape = (geometry.groups, -1, taps, columns.shape[2] // taps)
    columns = ops.transpose(ops.reshape(columns, shape), (1, 2, 0, 3))
    columns = ops.reshape(columns, (-1, taps, geometry.deformable_groups, channels))
    return ops.cast(columns, "float32")


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _check(inputs, kernel, offsets, mask, geometry):
    """Raises an error if the shapes do not fit each other."""
    channels, groups = inputs.shape[3], geometry.groups
    for name in ("deformable_groups", "groups"):
        if channels % getattr(geometry, name):
            raise ValueError(
                f"{name} must divide the channels of the inputs; received {name}="
                f"{getattr(geometry, name)} for {channels} channels. Use a divisor of "
                f"{channels}, or other channels."
            )
    if kernel.shape[2] * groups != channels or kernel.shape[3] % groups:
        raise ValueError(
            "The kernel must have the shape (height, width, input channels / groups, "
            "outputs), with outputs that groups divides; received a kernel of shape "
            f"{tuple(kernel.shape)} for {channels} channels and groups={groups}."
        )
    rows, columns = geometry.kernel_size
    count = geometry.deformable_groups * rows * columns
    size = geometry.expected_output_size()
    for name, value, expected in (
        ("offsets", offsets, (*size, 2 * count)),
        ("mask", mask, (*size, count)),
    ):
        if value is not None and _differ(value.shape[1:], expected):
            raise ValueError(
                f"{name} must have the shape (B, height, width, channels) with the "
                f"output's size, and {'two channels' if name == 'offsets' else 'one'} "
                "per deformable group and position in the kernel: "
                f"{('B', *expected)}; received {tuple(value.shape)}."
            )


def _differ(shape, expected):
    """Returns whether two sizes that are known differ."""
    pairs = zip(shape, expected, strict=True)
    return any(isinstance(b, int) and a not in (None, b) for a, b in pairs)
