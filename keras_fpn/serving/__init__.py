"""Serving: SavedModels that TensorFlow Serving loads as they are."""

from keras_fpn.serving.saved_model import check_export, export_saved_model

__all__ = ["check_export", "export_saved_model"]
