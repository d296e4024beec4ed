"""How objects that Keras saves with a model describe themselves."""

import inspect
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


def arguments_of(made, kind: type | None = None):
    """Returns the arguments that an object was made with, dict, for `get_config`.

    Args:
        made: object that has each argument of its class as an attribute of that name.
        kind: the class whose arguments are returned, of which that of the object may
            be a subclass with other arguments; None means the object's own class.
    """
    parameters = inspect.signature(kind or type(made)).parameters
    return {name: getattr(made, name) for name in parameters if name != "kwargs"}
