import re
import sys

import pytest

from keras_fpn import extras


def test_modules_that_are_there_are_imported():
    assert extras.from_extra("json.decoder", "video", "It").__name__ == "json.decoder"


def test_an_absent_package_is_named_with_its_remedy():
    message = (
        r"^Reading needs no_such_package, which is not installed\. Install it with: "
        rf"{re.escape(sys.executable)} -m pip install \"keras-fpn\[video\]\"$"
    )
    with pytest.raises(ImportError, match=message) as raised:
        extras.from_extra("no_such_package.figure", "video", "Reading")
    assert raised.value.name == "no_such_package"


def test_a_package_that_is_broken_itself_is_not_said_to_be_absent():
    with pytest.raises(ModuleNotFoundError, match=r"'json\.no_such_module'"):
        extras.from_extra("json.no_such_module", "video", "Reading")
