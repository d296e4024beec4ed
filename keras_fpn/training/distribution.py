"""Moved to `keras_fpn.distribute`; kept because documentation named this module."""


def __getattr__(name):
    from keras_fpn import distribute

    if name not in distribute.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(distribute, name)
