"""Both documents, followed word by word on a machine of its own."""

import pytest

from tests.handoff.documents import read
from tests.handoff.machine import Machine

pytestmark = pytest.mark.timeout(300)  # some forty commands
HANDOFF, OPERATIONS = "handoff-binance-us.md", "operations.md"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture(scope="module")
def handed_over(machine):
    """The machine, after the first document."""
    machine.follow(read(HANDOFF))
    return machine


def test_an_empty_machine_becomes_a_healthy_one(handed_over):
    assert "\n\n".join(handed_over.went_wrong) == ""
    card = handed_over.page_client().cards()["Binance.US"]
    assert card["stateText"] == "Active: streaming"
    assert card["lines"]["symbols"] == "4 symbols, 25 streams on 1 connection"
    assert card["lines"]["holes"] == "none known"


def test_what_is_done_later_works_as_it_is_told(handed_over):
    handed_over.went_wrong.clear()
    handed_over.follow(read(OPERATIONS))
    assert "\n\n".join(handed_over.went_wrong) == ""
