"""A served model: its signatures, and a server with a page.

Encoded photos go in, boxes in the photos' own pixels come out. `export` writes the
signatures into a SavedModel; `keras-fpn serve` starts the server.
"""

from keras_fpn.moved import moved_to

__getattr__ = moved_to("keras_fpn.export", "check_export", "export_saved_model")
