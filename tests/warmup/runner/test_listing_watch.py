"""When the listing is looked at again; the exchange and the clock are faked, nothing else."""

from datetime import timedelta

import pytest
from django.utils import timezone

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import UnknownSymbol
from exchanges.models import Exchange
from tests.warmup.runners import make_row, serve, wait_until
from warmup.runner import listing_watch
from warmup.runner.listing_watch import ListingWatch, longest_age
from warmup.runner.monitored import listing_is_old, listing_times, rows_wanted

pytestmark = pytest.mark.django_db(transaction=True)

LISTED = {"binance": "binance.exchangeInfo", "coinbase": "coinbase.products"}


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture(params=["sandbox", "coinbase"])
def row(request, redis, sandbox):
    found = make_row(sandbox, request.param)
    sandbox.requests.reset()
    return found


@pytest.fixture
def looks(row, sandbox):
    """Return how often the listing was asked for."""
    return lambda: sandbox.requests.counts[LISTED[row.venue]]


@pytest.fixture
def clock(monkeypatch):
    """Let time pass when a test says so."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(listing_watch, "time", clock)
    return clock


@pytest.fixture
def watch(redis, row, clock):
    looked = []
    watch = ListingWatch(
        row, lambda: ExchangeAdapterFactory(redis).rest(row), lambda: looked.append(1)
    )
    watch.looked = looked
    yield watch
    watch.close()


def step(watch, is_old=False):
    watch.step(is_old)
    wait_until(lambda: not watch.checking)


def is_old(row):
    return listing_is_old(rows_wanted(row, None), *listing_times(row))


def age(row, **ago):
    Exchange.objects.filter(pk=row.pk).update(listed_at=timezone.now() - timedelta(**ago))


@pytest.mark.parametrize(
    ("since_change", "expected"),
    [(None, 3600), (0, 300), (100, 300), (900, 900), (7200, 3600)],
)
def test_how_old_a_listing_may_be(since_change, expected):
    assert longest_age(since_change) == expected


def test_a_listing_is_old_after_an_hour_or_when_it_never_was_looked_at(row):
    assert not is_old(row)
    age(row, minutes=59)
    assert not is_old(row)
    age(row, minutes=61)
    assert is_old(row)
    Exchange.objects.filter(pk=row.pk).update(listed_at=None)
    assert is_old(row)


def test_while_a_monitored_symbol_has_just_stopped_it_is_looked_at_ever_more_rarely(row):
    stopped = timezone.now() - timedelta(hours=9)
    row.symbols.filter(symbol="ETH-USD").update(status="halted", status_since=stopped)
    looks, minute = [], 0
    Exchange.objects.filter(pk=row.pk).update(listed_at=stopped)
    while minute < 6 * 60:
        minute += 1
        now = stopped + timedelta(minutes=minute, seconds=1)
        listed_at, _ = listing_times(row)
        if listing_is_old(rows_wanted(row, None), listed_at, now):
            looks.append(minute)
            Exchange.objects.filter(pk=row.pk).update(listed_at=now)
    assert looks[:6] == [5, 11, 23, 47, 95, 156]
    row.symbols.update(is_monitored=False)
    age(row, minutes=59)
    assert not is_old(row), "nobody waits for it"


def test_an_old_listing_is_looked_at_and_then_is_new(watch, row, looks):
    step(watch, is_old=False)
    assert looks() == 0
    age(row, hours=2)
    step(watch, is_old=is_old(row))
    assert (looks(), watch.looked, is_old(row)) == (1, [1], False)


def test_the_same_doubt_is_looked_into_at_once_and_then_less_and_less_often(watch, looks, clock):
    times = []
    for second in range(4000):
        clock.now = 1000 + second
        watch.doubt(["ETH-USD"])
        before = looks()
        step(watch)
        if looks() > before:
            times.append(second)
        if len(times) == 8:
            break
    assert times[:7] == [0, 10, 30, 70, 150, 310, 610]
    assert times[7] - times[6] == 300


def test_after_an_hour_without_a_doubt_it_is_looked_into_at_once_again(watch, looks, clock):
    for _ in range(3):
        watch.doubt(["ETH-USD"])
        step(watch)
        clock.now += 100
    clock.now += 3601
    for _ in range(2):
        watch.doubt(["ETH-USD"])
        step(watch)
        clock.now += 10
    assert looks() == 5


def test_a_look_that_fails_is_said_and_tried_again_in_five_minutes(
    watch, row, sandbox, clock, caplog
):
    sandbox.faults.add("html200")
    watch.doubt(["ETH-USD"])
    step(watch)
    (said,) = [text for text in caplog.messages if text.startswith("listing.not_read")]
    assert f"exchange={row.name}" in said
    sandbox.faults.clear()
    clock.now += 299
    step(watch, is_old=True)
    assert watch.looked == []
    clock.now += 2
    step(watch)
    assert watch.looked == [1], "the doubt is still there"


def test_a_look_under_way_ends_with_the_watch(watch, sandbox):
    sandbox.scenarios.add("listing_halted")
    watch.step(True)
    wait_until(lambda: sandbox.requests.counts)
    watch.close()
    assert not watch.checking
    watch.step(True)
    assert not watch.checking


@pytest.mark.parametrize("way", ["unlisted", "refused"])
def test_a_client_tells_of_every_symbol_that_is_unknown(redis, row, sandbox, way):
    rest = ExchangeAdapterFactory(redis).rest(row)
    told = []
    rest.on_unknown_symbol = told.append
    symbol = "ETH-USD" if way == "refused" else "NEVER-USD"
    sandbox.scenarios.add("delisted", symbol="ETH-USD")
    with pytest.raises(UnknownSymbol):
        rest.get_candles(symbol, "1h")
    rest.close()
    assert told == [symbol]
