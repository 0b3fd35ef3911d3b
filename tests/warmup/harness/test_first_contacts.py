"""First contact with each venue as the sandbox plays it: what is unsure is asked and answered."""

import pytest

from exchanges.contact import asking, usual, watching
from exchanges.contact import contact as contact_module
from exchanges.contact.contact import Contact
from exchanges.sandbox.symbols import DEFAULT
from exchanges.venues import VENUES
from tests.warmup.harness.conftest import HALF_A_DAY_MS
from tests.warmup.runners import MIDNIGHT_MS, make_row, serve
from warmup.harness.contact_report import VERDICTS
from warmup.harness.first_contact import FirstContact
from warmup.harness.report import CheckReport, Result, Step

pytestmark = pytest.mark.django_db(transaction=True)
UNSURE = [venue for venue in VENUES.values() if venue.unsure]
LONGEST_SECONDS = 1.0  # of what is not listened to until something has come
SPEED = 40


@pytest.fixture(scope="module")
def forty_times_as_fast():
    start_ms = MIDNIGHT_MS - HALF_A_DAY_MS
    with serve(start_ms=start_ms, listings=DEFAULT, speed=SPEED) as server:
        yield server


@pytest.fixture
def fast(monkeypatch):
    for module, name, value in (
        (usual, "SECONDS_BETWEEN_LOOKS", 0.1),
        (usual, "MOST_TOPICS", 20),
        (contact_module, "CLOCK_SECONDS", 0.1),
        (watching, "CLOCK_SECONDS", 0.1),
        (asking, "LISTEN_SECONDS", LONGEST_SECONDS),
    ):
        monkeypatch.setattr(module, name, value)
    listen = Contact.listen

    def listen_shortly(self, topics, seconds, *until):
        return listen(self, topics, seconds if until else min(seconds, LONGEST_SECONDS), *until)

    monkeypatch.setattr(Contact, "listen", listen_shortly)


@pytest.mark.parametrize("venue", UNSURE, ids=lambda venue: venue.name)
def test_all_that_is_unsure_is_answered(redis, fast, forty_times_as_fast, venue):
    row = make_row(forty_times_as_fast, venue.presets[0].name, [], is_active=True)
    symbol = venue.presets[0].default_symbols[0]
    check = CheckReport(row.name, row.pk, symbol, [Step("symbol", "", Result.PASS, 0.0, "")])
    report = FirstContact(redis, row, minutes=1).run(check)
    told = {each.fact.name: (each.verdict, each.text) for each in report.findings}
    assert not [each for each in report.findings if each.answer is None], told
    usual_ones = {each.name for each in usual.USUAL}
    assert {told[name][0] for name in usual_ones} <= {VERDICTS[True], VERDICTS[None]}, told
