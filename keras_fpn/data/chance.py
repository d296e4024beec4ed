"""Moved to `keras_fpn.data`; kept because documentation named this module."""


def __getattr__(name):
    from keras_fpn import data

    return getattr(data, {"generator": "random_generator"}.get(name, name))
