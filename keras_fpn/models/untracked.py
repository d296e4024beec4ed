"""Attributes of models that Keras does not track."""


class Untracked:
    """Hides a value from Keras, which would track and save layers and variables."""

    def __init__(self, value):
        self.value = value
