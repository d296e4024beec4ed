"""Training on several devices: the devices, sums over replicas, optimizers."""

from keras_fpn.distribute.devices import Devices, make_devices

__all__ = ["Devices", "make_devices"]
