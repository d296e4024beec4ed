"""The signatures of a served model: encoded photos in, boxes in their pixels out."""

from keras_fpn.moved import moved_to

__getattr__ = moved_to("keras_fpn.export", "check_export", "export_saved_model")
