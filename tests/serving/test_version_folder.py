import pytest

from keras_fpn.serving.version_folder import new_version


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
    with pytest.raises(ValueError, match=r"version=3, which is in .* take the next"):
        write(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def test_a_failure_leaves_nothing(tmp_path):
    def fail():
        with new_version(tmp_path) as (folder, _):
            (folder / "file").write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True])
def test_a_version_is_a_whole_number(tmp_path, version):
    with pytest.raises(ValueError, match=f"at least 1; received version={version!r}"):
        write(tmp_path, version)


def test_the_directory_is_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"received directory='.*file'"):
        write(tmp_path / "file")
