"""What the tests of reports share."""

from fake_detector import detector, folder

__all__ = ["detector", "folder"]
