import logging

import pytest

from keras_fpn import cli
from keras_fpn.cli import presets
from keras_fpn.cli.messages import shown_messages

LOGGER = logging.getLogger("keras_fpn.weights.download")


def test_information_is_shown_on_stderr_while_a_command_runs(capsys, caplog):
    with shown_messages():
        LOGGER.info("Downloading 100 %s", "%")
    LOGGER.info("later")
    printed = capsys.readouterr()
    assert printed == ("", "Downloading 100 %\n")
    assert caplog.messages == []  # the root logger's handlers do not show it again


def test_a_program_that_calls_a_command_has_its_logging_back(monkeypatch, capsys):
    logger = logging.getLogger("keras_fpn")
    before = logger.level, logger.propagate, list(logger.handlers)

    def run(arguments):
        LOGGER.info("working")
        raise KeyError

    monkeypatch.setattr(presets, "run", run)
    with pytest.raises(KeyError):
        cli.main(["presets"])
    assert capsys.readouterr().err == "working\n"
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
