import pytest

from keras_fpn.report import extra


def test_an_absent_package_is_named_with_its_remedy():
    message = r"page needs no_such_package, .*pip install \"keras-fpn\[report\]\""
    with pytest.raises(ImportError, match=message):
        extra.from_extra("no_such_package.figure")


def test_only_absent_packages_are_missing(monkeypatch):
    monkeypatch.setattr(extra, "PACKAGES", ("json", "no_such_package"))
    assert extra.missing_packages() == ["no_such_package"]
