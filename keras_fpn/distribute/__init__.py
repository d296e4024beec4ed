"""Training on several devices: the devices, sums over replicas, optimizers."""

from keras_fpn.distribute.devices import Devices, make_devices
from keras_fpn.distribute.replicas import global_sum, replica_count

__all__ = ["Devices", "global_sum", "make_devices", "replica_count"]
