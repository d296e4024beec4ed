import os
import time

import pytest

from keras_fpn.export import version_folder
from keras_fpn.export.version_folder import check_version, new_version


def write(directory, version=None):
    with new_version(directory, version) as (folder, final):
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("whole")
        assert not final.exists()
    assert (final / "sub" / "file").read_text() == "whole"
    return final.name


def test_versions_count_up_from_the_highest(tmp_path):
    for name in ("9", "10", "old", "11.partial"):
        (tmp_path / name).mkdir()
    assert write(tmp_path) == "11"
    assert write(tmp_path, 20) == "20"
    assert write(tmp_path) == "21"
    assert write(tmp_path / "new" / "model") == "1"


def test_a_version_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "3").mkdir()
    with pytest.raises(ValueError, match=r"version=3, which exists in .* get the next"):
        write(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def fail(directory):
    with new_version(directory) as (folder, _):
        (folder / "file").write_text("half")
        raise OSError("disk full")


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="disk full"):
        fail(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_folder_that_was_not_there(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    with pytest.raises(OSError, match="disk full"):
        fail(tmp_path / "models" / "new" / "detector")
    assert list(tmp_path.rglob("*")) == [tmp_path / "models"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        fail("other/detector")
    assert list(tmp_path.rglob("*")) == [tmp_path / "models"]


def test_a_failure_leaves_what_others_have_made_meanwhile(tmp_path, monkeypatch):
    def another_version_then_fail(*arguments):
        (tmp_path / "new" / "detector" / "7").mkdir()
        raise OSError("disk full")

    monkeypatch.setattr(version_folder, "_sync", another_version_then_fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "new" / "detector")
    left = {path.name for path in (tmp_path / "new").rglob("*")}
    assert left == {"detector", "7"}


def test_what_a_killed_process_left_is_removed_after_an_hour(tmp_path):
    for name in (".1.99.partial", ".2.98.partial", ".old.partial"):
        (tmp_path / name / "variables").mkdir(parents=True)
    old = time.time() - 3700
    for name in (".1.99.partial", ".old.partial"):
        os.utime(tmp_path / name / "variables", (old, old))
        os.utime(tmp_path / name, (old, old))
    os.utime(tmp_path / ".2.98.partial", (old, old))  # what is in it, is new
    write(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"1", ".2.98.partial", ".old.partial"}


def test_a_version_can_be_checked_without_making_a_folder(tmp_path):
    assert check_version(tmp_path / "absent") == 1
    assert check_version(tmp_path / "absent", 5) == 5
    with pytest.raises(ValueError, match="received version=0"):
        check_version(tmp_path / "absent", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True])
def test_a_version_is_a_whole_number(tmp_path, version):
    with pytest.raises(ValueError, match=f"at least 1; received version={version!r}"):
        write(tmp_path, version)


def test_the_directory_is_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"received directory='.*file'"):
        write(tmp_path / "file")
