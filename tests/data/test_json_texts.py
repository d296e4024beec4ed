import json

import pytest
from data.tiny_sets import write

from keras_fpn.data.json_texts import load_json


def test_what_json_can_hold_is_read(tmp_path):
    content = {
        "a": [1, -2, 2.5, "\u00e9", None, True],
        "id": 2**64 - 1,
        "text": "9" * 400,
    }
    assert load_json(write(tmp_path / "a.json", json.dumps(content))) == content
    (tmp_path / "b.json").write_text("\ufeff[1]", "utf-8")  # a byte order mark
    assert load_json(tmp_path / "b.json") == [1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"fails at line 1, column 1 \(Expecting value\), character 0 of 0"),
        ('{"a":\n [1, 2', r"fails at line 2, column 7 .*character 12 of 12. Is it tru"),
        ("[" * 100_000, r"which is nested too deeply\.$"),
        ('{"a":' * 100_000, r"which is nested too deeply\.$"),
        ("[1,\n" + "7" * 21 + "]", r"an integer of more than 20 digits at line 2\.$"),
        (f'{{"a": -{10**400}\n}}', r"an integer of more than 20 digits at line 1\.$"),
        ("1" * 5000, r"an integer of more than 20 digits\.$"),
    ],
)
def test_one_line_names_the_file_and_the_place(tmp_path, text, problem):
    path = write(tmp_path / "a.json", text)
    with pytest.raises(
        ValueError, match=rf"received path='.*a\.json', .*{problem}"
    ) as e:
        load_json(path)
    assert "\n" not in str(e.value)
