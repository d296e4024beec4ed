"""What a test gives the processes that it starts."""

import os


def environment_of_its_own(**changes):
    """The environment of a process that must itself ask for sums that repeat.

    `conftest.py` asks for them by a variable, which the process does not get.
    """
    environment = dict(os.environ)
    environment.pop("TF_DETERMINISTIC_OPS", None)
    return environment | changes
