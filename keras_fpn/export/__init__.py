"""Models that run without keras_fpn: SavedModels, which TensorFlow Serving loads."""

from keras_fpn.export.saved_model import check_export, export_saved_model

__all__ = ["check_export", "export_saved_model"]
