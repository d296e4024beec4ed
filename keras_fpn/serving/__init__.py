"""The signatures of a served model: encoded photos in, boxes in their pixels out."""

_MOVED = ("check_export", "export_saved_model")  # to `keras_fpn.export`


def __getattr__(name):
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras_fpn import export

    return getattr(export, name)
