"""Moved to `keras_fpn.report`; kept because documentation named this module."""


def __getattr__(name):
    from keras_fpn import report

    return getattr(report, name)
