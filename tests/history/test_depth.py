"""History of an exchange that tells of its newest bars alone: what can't be had is said so."""

from io import StringIO

import pytest
from django.core.management import call_command

from exchanges.venues.binance.rest import BinanceRest
from history.audit.audit import Audit
from history.following import follower as follower_module
from history.following.follower import HistoryFollower
from history.following.metrics import count
from history.models import KeptHistory
from history.planning.report import TOO_OLD
from history.store.store import HistoryStore
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.history.test_fill import SINCE_MS, fill
from tests.warmup.runners import MIDNIGHT_MS, make_row, serve
from warmup.cache.candles import CandleCache

pytestmark = pytest.mark.django_db(transaction=True)
BTC, H1, D1 = "BTC-USD", Timeframe.H1, Timeframe.D1
NOW_MS = MIDNIGHT_MS + 7 * 60_000
DEPTH = 30  # bars
TOLD_MS = H1.floor(NOW_MS) - DEPTH * H1.ms
SINCE = ("--since", "2026-11-16", "--timeframes", "1h")


@pytest.fixture(autouse=True)
def short_depth(monkeypatch):
    monkeypatch.setattr(BinanceRest, "depth_rows", DEPTH)


@pytest.fixture
def sandbox():
    with serve(speed=0, start_ms=NOW_MS) as sandbox:
        yield sandbox


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox, "sandbox", [BTC])


def asked_for(sandbox):
    return [each.start_ms for each in sandbox.requests.candles if each.timeframe == "1h"]


def test_what_is_older_is_not_asked_for_and_is_told_as_not_to_be_had(sandbox, row, folder):
    for calls in (1, 1):  # a second run asks for nothing more
        told = fill(row, *SINCE)
        lost = {"symbol": BTC, "timeframe": "1h", "from": SINCE_MS, "to": TOLD_MS}
        assert [each for each in told["unknown"] if each["timeframe"] == "1h"] == [
            lost | {"reason": TOO_OLD}
        ]
        assert len(asked_for(sandbox)) == calls
    assert min(asked_for(sandbox)) == TOLD_MS
    found = HistoryStore(folder, row).read(Pair(BTC, H1), SINCE_MS, NOW_MS)
    assert found.covered == ((TOLD_MS, H1.floor(NOW_MS)),)
    assert HistoryStore(folder, row).unconfirmed(Pair(BTC, H1)) == ()


def test_a_person_is_told_before_and_after(row, folder):
    said = []
    for extra in (["--plan"], []):
        output = StringIO()
        call_command("history", row.name, *SINCE, *extra, stdout=output, stderr=StringIO())
        said.append(output.getvalue())
    begins = "2026-11-17 18:00 UTC"
    assert f"no history of 1h before {begins}: {TOO_OLD}" in said[0]
    assert f"not to be had: {BTC} 1h 2026-11-16 00:00 UTC to {begins}: {TOO_OLD}" in said[1]


def test_who_follows_asks_for_it_in_no_round_and_calls_nothing_holed(
    redis, sandbox, row, folder, monkeypatch
):
    monkeypatch.setattr(follower_module, "time_now_ms", lambda *what: NOW_MS)
    fill(row, *SINCE)
    follower, before = HistoryFollower(redis, row), dict(sandbox.requests.counts)
    follower.step()
    assert dict(sandbox.requests.counts) == before
    kept = KeptHistory.objects.select_related("exchange").get(exchange=row)
    assert count(kept, NOW_MS)["history_pairs_holed"] == 0


def test_an_audit_compares_what_the_exchange_still_tells(redis, sandbox, row, folder, monkeypatch):
    monkeypatch.setattr(BinanceRest, "depth_rows", None)
    fill(row, *SINCE)
    monkeypatch.setattr(BinanceRest, "depth_rows", DEPTH)
    store = HistoryStore(folder, row)
    report = Audit(row, CandleCache(redis, row.pk), store).run(100)
    assert (report.unknown, report.reason, report.differing) == (0, "", [])
    assert 0 < report.compared <= DEPTH


def test_a_venue_that_has_such_a_depth_is_filled_as_far_as_that(redis, sandbox, folder):
    row, said = make_row(sandbox, "kraken", [BTC], is_active=True), []
    for extra in (["--plan"], [], []):
        output = StringIO()
        arguments = ["--since", "2024-01-01", "--timeframes", "1m", *extra]
        call_command("history", row.name, *arguments, stdout=output, stderr=StringIO())
        said.append(output.getvalue())
    plan, first, again = said
    assert "at most 1,440 candles, 2 calls" in plan
    assert f"no history of 1m before 2026-11-18 12:07 UTC: {TOO_OLD}" in plan
    assert f"no history of 1d before 2024-11-29 00:00 UTC: {TOO_OLD}" in plan
    assert "1,439 candles fetched with 2 calls" in first  # but for the minute that has just ended
    assert f"not to be had: {BTC} 1m 2024-01-01 00:00 UTC to 2026-11-18 12:07 UTC" in first
    assert "0 candles fetched with 0 calls" in again
