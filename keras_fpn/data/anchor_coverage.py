"""Moved to `keras_fpn.report`; kept because documentation named this module."""


def __getattr__(name):
    from keras_fpn import report

    if name not in report.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(report, name)
