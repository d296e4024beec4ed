import os
import stat
import subprocess
import sys
import threading

import pytest
from full_disk import largest_file
from PIL import Image

from keras_fpn import files
from keras_fpn.files import replacing, similar_path, write_text

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX's files")


def write(path, text="new"):
    with replacing(path) as partial:
        partial.write_text(text)


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_appears_only_when_it_is_complete(tmp_path, sync):
    path = tmp_path / "new" / "file.txt"
    with replacing(path, sync) as partial:
        partial.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"

    def write_half():
        with replacing(path, sync) as partial:
            partial.write_text("sec")
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        write_half()
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


@posix_only
def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path):
    there, target = tmp_path / "there", tmp_path / "elsewhere" / "r.json"
    target.parent.mkdir()
    target.write_text("old")
    there.symlink_to(target.parent)  # a folder's link on the way, too
    link = tmp_path / "link.json"
    link.symlink_to(there / "r.json")
    write(link)
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "elsewhere",
        "link.json",
        "there",
    ]
    assert [path.name for path in target.parent.iterdir()] == ["r.json"]


@posix_only
def test_a_link_to_what_is_not_there_gets_it(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "absent" / "r.json")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "absent" / "r.json").read_text() == "new"


@posix_only
def test_links_in_a_circle_are_refused(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.symlink_to(other)
    other.symlink_to(one)
    with pytest.raises(OSError, match=r"symbolic links.*one'"):
        write(one)
    assert one.is_symlink()
    assert other.is_symlink()


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_replaced_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    write(tmp_path / "other.json")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "other.json").stat().st_mode) == 0o666 & ~mask


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix_only
@pytest.mark.parametrize(
    ("mode", "meanwhile"),
    # The owner's own rights to read and write are all that is added.
    [(0o600, 0o600), (0o640, 0o640), (0o400, 0o600), (0o444, 0o644)],
)
def test_a_file_is_no_more_readable_while_it_is_written(tmp_path, mode, meanwhile):
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(mode)
    mask = os.umask(0o022)
    try:
        with replacing(path) as partial:
            assert mode_of(partial) == meanwhile
            partial.write_text("new")
            assert mode_of(partial) == meanwhile
    finally:
        os.umask(mask)
    assert mode_of(path) == mode
    assert path.read_text() == "new"


@posix_only
@pytest.mark.parametrize("sync", [True, False])
def test_a_read_only_file_is_replaced_by_any_user(tmp_path, monkeypatch, sync):
    def open_as_a_user(path, mode="r"):  # root may open every file
        if set(mode) & set("wa+") and not mode_of(path) & stat.S_IWUSR:
            raise PermissionError(f"{path} is read-only")
        return open(path, mode)

    monkeypatch.setattr(files, "open", open_as_a_user, raising=False)
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="read-only"):  # the stand-in itself
        open_as_a_user(path, "rb+")
    with replacing(path, sync) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert mode_of(path) == 0o444


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(tmp_path):
    path = tmp_path / "r.json"
    with replacing(path) as partial:
        partial.write_text("old")
    partial.write_text("longer than what comes")
    partial.chmod(0o666)
    path.chmod(0o600)
    with replacing(path) as again:
        assert again == partial
        assert again.read_text() == ""
        assert os.name != "posix" or mode_of(again) == 0o600
        again.write_text("new")
    assert path.read_text() == "new"


def test_where_no_file_can_be_made_the_error_names_the_one_asked_for(
    tmp_path, monkeypatch
):
    def refused(path, flags, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files.os, "open", refused)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*[/\\]r.json'"):
        write(tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "kept").write_text("old")
    with pytest.raises(IsADirectoryError, match=r"received the folder '.*Name a file"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@posix_only
def test_a_pipe_gets_the_bytes_and_stays_one(tmp_path):
    pipe, read = tmp_path / "pipe.json", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe)
    reader.join(10)
    assert read == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.json"]


@posix_only
def test_a_device_is_written_to_and_not_replaced(tmp_path):
    null = tmp_path / "null"  # by a link: to replace the system's own would harm it
    null.symlink_to(os.devnull)
    write(null)
    assert null.is_symlink()
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    if os.path.exists("/dev/full"):
        null.unlink()
        null.symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            write(null)


@posix_only
def test_a_devices_own_name_stands_after_it_was_written_to(tmp_path):
    # As root this replaced the device by a file: so a device of the test's own.
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_text("")
    except PermissionError:
        pytest.skip("only root may make devices, and not everywhere")
    write(device)
    assert stat.S_ISCHR(device.stat().st_mode)


CODE = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("files", sys.argv[2])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
print("before")
with files.replacing(pathlib.Path(sys.argv[1])) as partial:
    partial.write_text("results\\n")
print("after")
"""


@posix_only
@pytest.mark.parametrize("redirected", [False, True])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_the_process_own_output_gets_the_bytes_in_order(tmp_path, name, redirected):
    out = tmp_path / "out.txt"
    with open(out, "w") as file:
        target = file if redirected else subprocess.PIPE
        done = subprocess.run(
            [sys.executable, "-c", CODE, f"/dev/{name}", files.__file__],
            stdout=target,
            stderr=subprocess.STDOUT,
            check=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    written = out.read_bytes() if redirected else done.stdout
    assert written == b"before\nresults\nafter\n"


def test_a_text_that_is_not_unicode_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "deep/er/a.txt"
    write_text(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    message = r"a\.txt' and the text 'x{30}\\udc80y'\. Rename that photo or class"
    with pytest.raises(ValueError, match=message):
        write_text(path, 40 * "x" + "\udc80y")
    assert path.read_bytes() == "né\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_an_image_of_which_a_part_fits_on_the_disk_is_not_there(tmp_path):
    """Pillow itself takes the part for all of it."""
    image = Image.effect_noise((40, 30), 50)
    with largest_file(100):
        for suffix, form in ((".jpg", "JPEG"), (".png", "PNG")):
            with pytest.raises(OSError, match=rf"File too large: .*/a{suffix}'"):
                files.write_image(image, tmp_path / f"a{suffix}", format=form)
    assert list(tmp_path.iterdir()) == []
    files.write_image(image, tmp_path / "a.png", format="PNG")
    assert Image.open(tmp_path / "a.png").tobytes() == image.tobytes()


def test_a_path_is_suggested_where_there_is_a_similar_one(tmp_path):
    write_text(tmp_path / "photos", "")
    meant = f" Did you mean {tmp_path / 'photos'}?"
    assert similar_path(tmp_path / "photo") == meant
    for path in ("other", "photos/below", "none/photo", "x" * 300 + "/photo"):
        assert similar_path(tmp_path / path) == ""


def test_an_error_names_the_file_that_was_to_be_written(tmp_path):
    with largest_file(10), pytest.raises(OSError, match=r"too large: .*/a\.txt'"):
        files.write_text(tmp_path / "a.txt", "a" * 99)
    assert list(tmp_path.iterdir()) == []
