"""Deformable convolution: offsets move the points at which a kernel reads."""

from collections.abc import Callable

from keras import ops

from keras_fpn.ops.deform_chunks import (
    Chunks,
    flat_cells,
    grouped_columns,
    grouped_kernel,
)
from keras_fpn.ops.deform_gradients import deform_gradients
from keras_fpn.ops.deform_points import Geometry, by_point, four_cells, points
from keras_fpn.ops.kernels import native_kernels_run


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

    Nothing but the arguments is kept for the gradient, which reads all points again.
    Both go through chunks of output cells. For a 3x3 kernel on a map of 200x200 cells
    and 256 channels, outputs take up to 200 MiB, and outputs with all gradients 340 MiB
    compiled by XLA and 580 MiB in a plain graph of TensorFlow; automatic gradients keep
    several times the 352 MiB that the kernel reads.

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
    cells = flat_cells(inputs, geometry)

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
        chunks = Chunks(offsets)
        read = reader(inputs, geometry)
        grouped = grouped_kernel(kernel, geometry)

        def convolve(part):
            columns = grouped_columns(read(*part), geometry)
            outputs = ops.transpose(ops.matmul(columns, grouped), (1, 0, 2))
            return ops.reshape(outputs, (-1, kernel.shape[3]))

        parts = (chunks.numbers, chunks.split(offsets), chunks.split(mask))
        return chunks.join(ops.map(convolve, parts))

    @ops.custom_gradient
    def differentiable(*tensors):
        return forward(*tensors), lambda up: deform_gradients(
            up, tensors, geometry, loop
        )

    return differentiable(*tensors)


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
