"""Each experiment, as much of it as every run of the tests can afford."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.experiments.document import promise
from tests.experiments.registry import EXPERIMENTS, PROMISES, module_of
from tests.experiments.test_command import IN_PROCESS_OF_ITS_OWN

ROOT = Path(__file__).resolve().parent.parent.parent
OF_SECONDS = "take_over"  # that is what it promises, and a busy machine has none to spare
OF_A_PACKAGE_INDEX = "freqtrade"  # which has to be there, and takes minutes to install from
OF_A_MINUTE = "twenty_bots"  # that has processes of its own; what it looks for: bots/test_checks.py
ELSEWHERE = (IN_PROCESS_OF_ITS_OWN, OF_SECONDS, OF_A_PACKAGE_INDEX, OF_A_MINUTE)
TRIED = [name for name in EXPERIMENTS if name not in ELSEWHERE]


@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", TRIED)
def test_the_promise_holds(name, redis, tmp_path):
    experiment = import_module(module_of(name))
    outcome = experiment.run(redis, tmp_path, **experiment.QUICK)
    assert outcome.faults == []
    assert outcome.numbers


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_tests_that_an_experiment_names_are_there(name):
    named = re.findall(r"`(tests/[^`]+)`", " ".join(promise(name)))
    assert named
    assert all((ROOT / path).is_file() for path in named), named


def test_each_experiment_is_a_module_and_each_module_is_one():
    assert {path.stem for path in PROMISES.rglob("*.py")} - {"__init__"} == set(EXPERIMENTS)
