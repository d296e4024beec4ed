"""Moved to `keras_fpn.distribute`; kept because documentation named this module."""


def __getattr__(name):
    from keras_fpn import distribute

    return getattr(distribute, name)
