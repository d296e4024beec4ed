"""The base class of frozen dataclasses of numbers, which Keras saves with a model."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Config:
    """Base class of frozen dataclasses that Keras serializes by their fields."""

    def get_config(self):
        """Returns the fields as a dict."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict):
        """Returns the object described by the result of `get_config`."""
        return cls(**config)
