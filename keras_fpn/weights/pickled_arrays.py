"""Finds the weights in pickles, as detectron2 publishes its models."""

import numpy as np

from keras_fpn.files import PathLike
from keras_fpn.weights.array_pickle import read_array_pickle


def read_pickled_arrays(path: PathLike) -> dict[str, np.ndarray]:
    """Reads the arrays in a pickle, such as a model of detectron2.

    Nothing in the file is run; see `array_pickle`. If it is a dict with the weights
    under "model", as detectron2 saves it, these are read. Entries that are not arrays
    are ignored.

    Args:
        path: str or os.PathLike of a .pkl file.

    Returns:
        dict of str -> array of the dtype stored, in the order of the file.

    Raises:
        ValueError: the file does not exist, is damaged, has no named arrays, or names
            something that is neither an array nor a plain container.
    """
    top = read_array_pickle(path)
    for candidate in (top.get("model"), top) if type(top) is dict else ():
        if type(candidate) is dict:
            arrays = {
                name: value.view(np.ndarray)
                for name, value in candidate.items()
                if type(name) is str and isinstance(value, np.ndarray)
            }
            if arrays:
                return arrays
    found = f"the entries {list(top)[:8]}" if type(top) is dict else "no dict"
    raise ValueError(
        "A pickle of weights must contain a dict of named arrays; received "
        f"path={str(path)!r}, which contains {found}. Pass the file of a model."
    )
