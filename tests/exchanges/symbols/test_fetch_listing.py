"""Whether a listing is believed: on real sockets, with answers that real exchanges give."""

import re

import pytest

from exchanges.errors import BadPayload, Unreachable
from exchanges.models import Exchange
from exchanges.symbols import fetch_listing as module
from exchanges.symbols.fetch_listing import fetch_listing
from tests.warmup.runners import make_row, serve

pytestmark = pytest.mark.django_db(transaction=True)

LISTED = {"binance": "binance.exchangeInfo", "coinbase": "coinbase.products"}


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_UNTIL_SURE", 0.05)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture(params=["sandbox", "coinbase"])
def row(request, redis, sandbox):
    found = make_row(sandbox, request.param)
    sandbox.requests.reset()
    return found


def trading(row):
    return sorted(row.symbols.kept_warm().values_list("symbol", flat=True))


ALL = ["BTC-USD", "ETH-USD", "SOL-USD"]


@pytest.mark.parametrize("way", ["halted", "short"])
def test_one_broken_answer_stops_nothing_and_is_said(row, sandbox, caplog, way):
    endpoint = LISTED[row.venue].partition(".")[2]
    fault = sandbox.faults.add("listing", way=way, chance=0.99, endpoint=endpoint, times=1)
    report = fetch_listing(row)
    assert fault.hits == 1
    assert (trading(row), report.changed, report.delisted) == (ALL, 0, 0)
    assert sandbox.requests.counts[LISTED[row.venue]] == 2
    (said,) = [text for text in caplog.messages if text.startswith("listing.doubted")]
    assert re.match(rf"listing.doubted exchange={row.name} monitored=[23] of 3 ", said)


def test_what_two_answers_say_alike_is_believed_and_said(row, sandbox, caplog):
    sandbox.scenarios.add("listing_halted")
    fetch_listing(row)
    assert trading(row) == []
    assert any(text.startswith("symbols.stopped") for text in caplog.messages)
    sandbox.scenarios.clear()
    fetch_listing(row)
    assert trading(row) == ALL


def test_what_only_one_of_two_broken_answers_lacks_stays(row, sandbox):
    rows = module.adapters.open_rest(row).list_symbols()
    answers = [rows[:1], rows[1:2]]
    sure = module.agreed(*answers)
    assert sorted(each.symbol for each in sure if each.is_trading) == sorted(
        each.symbol for each in rows[:2]
    )


def test_one_of_three_that_stops_is_believed_at_once(row, sandbox):
    sandbox.scenarios.add("halted", symbol="ETH-USD")
    fetch_listing(row)
    assert trading(row) == ["BTC-USD", "SOL-USD"]
    assert sandbox.requests.counts[LISTED[row.venue]] == 1


def test_a_row_without_a_status_costs_nothing(row, sandbox):
    sandbox.scenarios.add("listing_bad_row", symbol="ETH-USD")
    fetch_listing(row)
    assert trading(row) == ALL


def test_that_most_of_what_nobody_monitors_is_gone_is_doubted_too(row, sandbox, caplog):
    row.symbols.exclude(symbol="BTC-USD").update(is_monitored=False)
    rows = module.adapters.open_rest(row).list_symbols()
    assert module.doubt(row, [each for each in rows if each.symbol == "BTC-USD"])
    assert not module.doubt(row, rows)
    assert not module.doubt(row, [each for each in rows if each.symbol != "SOL-USD"])


def test_a_second_answer_that_fails_changes_nothing(row, sandbox):
    sandbox.scenarios.add("listing_halted")
    rest = module.adapters.open_rest(row)
    asked = []

    def fails_the_second_time():
        asked.append(1)
        if len(asked) > 1:
            raise Unreachable("gone")
        return type(rest).list_symbols(rest)

    rest.list_symbols = fails_the_second_time
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Unreachable):
        patch.setattr(module.adapters, "open_rest", lambda exchange: rest)
        fetch_listing(row)
    assert trading(row) == ALL


def test_when_the_listing_was_looked_at_is_kept(row, sandbox):
    before = Exchange.objects.get(pk=row.pk).listed_at
    fetch_listing(row)
    assert Exchange.objects.get(pk=row.pk).listed_at > before
    sandbox.faults.add("html200")
    with pytest.raises((Unreachable, BadPayload)):
        fetch_listing(row)
