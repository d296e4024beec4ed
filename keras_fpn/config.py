"""Frozen dataclasses of numbers that Keras saves within a model."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Config:
    """Base class: its subclasses are saved by the values of their fields."""

    def get_config(self):
        """Returns a dict of the fields."""
        return asdict(self)

    @classmethod
    def from_config(cls, config):
        """Returns the object that `get_config` described."""
        return cls(**config)
