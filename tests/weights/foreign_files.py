"""Files as torchvision and detectron2 publish them, for a model that is there."""

import pickle

import numpy as np
from weights import torch_files

from keras_fpn.weights.mapping import depthwise_kernel

_ROWS = (0, 1, 4)  # of the background, which a mask and a box have in torchvision


def foreign_shape(slot):
    """The shape of the tensor that fills a slot."""
    axes = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}[len(slot.variable.shape)]
    if slot.convert is depthwise_kernel:
        axes = (2, 3, 0, 1)
    first, *rest = (slot.variable.shape[axis] for axis in axes)
    for rows in _ROWS:
        shape = (first + rows, *rest)
        found = slot.convert(np.broadcast_to(np.float32(0), shape))
        if found.shape == tuple(slot.variable.shape):
            return shape
    raise AssertionError(f"{slot.key} fits no tensor")


def foreign_tensors(slots):
    """Returns key -> an array full of the slot's number, from 1; it takes no memory."""
    return {
        slot.key: np.broadcast_to(np.float32(number), foreign_shape(slot))
        for number, slot in enumerate(slots, start=1)
    }


def write_torch(path, tensors):
    """Writes a file as `torch.save` writes a state dict."""
    described, rows = {}, {}
    for number, (key, tensor) in enumerate(tensors.items()):
        tensor = np.ascontiguousarray(tensor, "<f4")
        strides = tuple(stride // 4 for stride in tensor.strides)
        row = torch_files.storage(str(number), count=tensor.size)
        described[key] = torch_files.tensor(row, 0, tensor.shape, strides)
        rows[str(number)] = tensor.tobytes()
    return torch_files.write_zip(path, torch_files.named(**described), rows)


def write_pickle(path, tensors):
    """Writes a file as detectron2 publishes them."""
    model = {key: np.array(tensor) for key, tensor in tensors.items()}
    path.write_bytes(pickle.dumps({"model": model, "__author__": "detectron2"}, 2))
    return path
