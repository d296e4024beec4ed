"""The program on docs/own_data.md runs, and its tables name all targets."""

import pathlib
import re

import numpy as np
import pytest

from keras_fpn.models import KeypointRCNN, MaskRCNN, PanopticFPN, SegmentProposals
from keras_fpn.models.ground_truth import GroundTruth

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "own_data.md"


@pytest.mark.tensorflow_only
def test_the_program_trains():
    [program] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    names = {}
    exec(compile(program, str(PAGE), "exec"), names)
    losses = names["model"].history.history["loss"]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert int(names["model"].training_step) == 4


def test_the_tables_name_all_that_a_detector_reads():
    rows = re.findall(r"^\|([^|]*)\|", PAGE.read_text(), re.M)
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    for kind in (KeypointRCNN, MaskRCNN, PanopticFPN, SegmentProposals):
        assert set(kind.targets) <= keys, kind
    assert set(GroundTruth.__dataclass_fields__) - {"valid", "weights"} <= keys
