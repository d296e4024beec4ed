"""Serving: SavedModels that TensorFlow Serving loads as they are."""

from keras_fpn.serving.saved_model import export_saved_model

__all__ = ["export_saved_model"]
