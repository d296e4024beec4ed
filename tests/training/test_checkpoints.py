import zipfile

import pytest
from training.small_model import Numbers

from keras_fpn.training.checkpoints import read_state, write_checkpoint


def test_no_changed_byte_of_a_checkpoint_goes_unnoticed(tmp_path):
    def content(path):
        with zipfile.ZipFile(path) as archive:
            return [archive.read(name) for name in archive.namelist()]

    path = tmp_path / "small.keras"
    write_checkpoint(Numbers(), path, {"epoch": 3})
    intact, bytes_ = content(path), path.read_bytes()
    changed = 0
    for place in range(len(bytes_)):
        path.write_bytes(
            bytes_[:place] + bytes([bytes_[place] ^ 0x10]) + bytes_[place + 1 :]
        )
        try:
            assert read_state(path) == {"epoch": 3}
        except ValueError:
            changed += 1
        else:  # a date or the like; the state is unchanged
            assert content(path)[-1] == intact[-1]
    assert changed > 0.6 * len(bytes_)
    for size in range(len(bytes_)):
        path.write_bytes(bytes_[:size])
        with pytest.raises(ValueError, match=r"\w"):
            read_state(path)
