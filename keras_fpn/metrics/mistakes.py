"""Moved to `keras_fpn.report`; kept for code that imports it from here."""


def __getattr__(name):
    from keras_fpn import report

    if name not in report.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(report, name)
