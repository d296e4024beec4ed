"""Moved to `keras_fpn.distribute`; kept because documentation named this module."""

from keras_fpn.moved import moved_to

__getattr__ = moved_to("keras_fpn.distribute", "Devices", "make_devices")
