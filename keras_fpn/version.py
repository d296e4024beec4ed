"""The version of keras_fpn, which is read without importing Keras."""

__version__ = "0.1.0.dev0"
