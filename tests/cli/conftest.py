"""What the tests of the console command share."""

import os

import pytest
from fake_detector import detector, folder

__all__ = ["detector", "folder"]


@pytest.fixture
def odd_name(tmp_path):
    """A file's name that is not Unicode: Python shows its byte 0xff as \\udcff."""
    name = os.fsdecode(b"b\xff.png")
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system takes Unicode alone")
    (tmp_path / name).unlink()
    return name
