import pytest

from keras_fpn.report import extra


def test_modules_that_are_there_are_imported():
    assert extra.from_extra("json.decoder").__name__ == "json.decoder"


def test_an_absent_package_is_named_with_its_remedy():
    message = r"needs no_such_package, .*pip install \"keras-fpn\[report\]\""
    with pytest.raises(ImportError, match=message) as raised:
        extra.from_extra("no_such_package.figure")
    assert raised.value.name == "no_such_package"


def test_a_package_that_is_broken_itself_is_not_said_to_be_absent():
    with pytest.raises(ModuleNotFoundError, match=r"'json\.no_such_module'"):
        extra.from_extra("json.no_such_module")


def test_only_absent_packages_are_missing(monkeypatch):
    monkeypatch.setattr(extra, "PACKAGES", ("json", "no_such_package"))
    assert extra.missing_packages() == ["no_such_package"]
