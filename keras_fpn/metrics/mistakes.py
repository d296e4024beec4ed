"""Moved to `keras_fpn.report`; kept for code that imports it from here."""


def __getattr__(name):
    from keras_fpn import report

    return getattr(report, name)
