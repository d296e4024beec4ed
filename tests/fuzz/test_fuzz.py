"""Some hundreds of hostile inputs, and that the campaign notices what it looks for."""

import numpy as np
import pytest
from fuzz import campaign, hostile
from fuzz.target import Target
from fuzz.targets import all_targets, prepare

SLOW = ("config.keras", "bytes.keras")  # which build a detector


def test_readers_parse_or_refuse_by_name(tmp_path):
    prepare(tmp_path)
    targets = [one for one in all_targets(tmp_path) if one.name not in SLOW]
    inputs, outcomes = campaign.Inputs(targets, seed=0), []
    for number in range(2 * len(inputs.order)):
        target, content = inputs(number)
        outcome, said = campaign.outcome_of(target, content, tmp_path)
        assert outcome in campaign.WANTED, (number, target.name, outcome, said)
        outcomes.append(outcome)
    # All refused, or all parsed, would say that the inputs are no good.
    assert 0.2 < outcomes.count(campaign.PARSED) / len(outcomes) < 0.9


def fail(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda path: path.read_bytes(), campaign.PARSED),
        (fail(ValueError("received one.json")), campaign.REFUSED),
        (fail(ValueError("received a file")), campaign.UNNAMED),
        (fail(ValueError("received one.json\nand more")), campaign.UNNAMED),
        (fail(ValueError("received one.json" + "a" * 999)), campaign.UNNAMED),
        (fail(KeyError("one.json")), campaign.FOREIGN),
        (fail(RecursionError("one.json")), campaign.FOREIGN),
    ],
)
def test_outcomes_are_told_apart(tmp_path, read, outcome):
    target = Target("one.json", b"[]", read)
    assert campaign.outcome_of(target, b"[]", tmp_path)[0] == outcome


def test_growth_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "_GROWTH", -1)
    target = Target("one.json", b"[]", lambda path: None)
    assert campaign.outcome_of(target, b"[]", tmp_path)[0] == campaign.GROWTH


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("import os; os.abort()", campaign.CRASH),
        ("import signal, os; os.kill(os.getpid(), signal.SIGVTALRM)", campaign.HANG),
    ],
)
def test_what_ends_the_child_is_an_outcome_and_the_next_input_follows(
    tmp_path, monkeypatch, code, outcome
):
    child = tmp_path / "child.py"
    child.write_text(
        "import json, sys\n"
        "start = int(sys.argv[sys.argv.index('--start') + 1])\n"
        "for number in range(start, 3):\n"
        "    if number == 1:\n"
        f"        {code}\n"
        "    print(json.dumps([number, 'a', 'parsed', '']), flush=True)\n"
    )
    monkeypatch.setattr(campaign, "__file__", str(child))
    arguments = type("Arguments", (), {"start": 0, "inputs": 3, "seed": 1})
    found = [one[2] for one in campaign.run(arguments)]
    assert found == [campaign.PARSED, outcome, campaign.PARSED]


def test_inputs_depend_on_their_number_and_the_seed_alone(tmp_path):
    prepare(tmp_path)
    targets = [one for one in all_targets(tmp_path) if one.name == "set.json"]
    one, other, third = (campaign.Inputs(targets, seed) for seed in (1, 1, 2))
    for number in (9, 3):
        assert one(number)[1] == other(number)[1]
    assert one(9)[1] != third(9)[1]


def test_damage_changes_bytes_and_structures_change_nodes():
    content = bytes(range(256)) * 4
    generator = np.random.default_rng(0)
    changed = [hostile.damaged(content, generator) for _ in range(50)]
    assert sum(one != content for one in changed) > 40
    sound = {"a": [1, {"b": 2}], "c": "d"}
    found = hostile.structures(sound, 3)
    assert sound == {"a": [1, {"b": 2}], "c": "d"}
    texts = {repr(one) for one in found}
    assert len(texts) > hostile.PER_SEED / 2
