"""24 hours of each symbol: as both protocols tell them, as they are kept, and who is on top."""

import time

import orjson
import pytest

from exchanges.adapters import open_rest
from exchanges.errors import UnknownSymbol, Unreachable
from exchanges.symbols.volumes import (
    Volumes,
    check_choice,
    current_volumes,
    most_traded,
    quotes_of,
    read_volumes,
)
from livermore.market import keys
from tests.warmup.runners import make_row, serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture(params=["sandbox", "coinbase"])
def row(request, redis, sandbox):
    found = make_row(sandbox, request.param)
    sandbox.requests.reset()
    return found


def asked(sandbox):
    counts = sandbox.requests.counts
    return counts["binance.ticker24hr"] + counts["coinbase.products"]


def by_name(row):
    """Return volumes of which the later names have more."""
    names = row.symbols.order_by("symbol").values_list("symbol", flat=True)
    return Volumes({name: 10.0 * at for at, name in enumerate(names, 1)}, int(time.time() * 1000))


def test_both_protocols_tell_the_same_24_hours(redis, sandbox):
    told = [current_volumes(redis, make_row(sandbox, name)) for name in ("sandbox", "coinbase")]
    for symbol in ("BTC-USD", "ETH-USD", "SOL-USD"):
        one, other = (each.by_symbol[symbol] for each in told)
        assert one == pytest.approx(other, rel=0.05)
        assert one > 0


def test_they_are_asked_for_once_in_some_minutes(redis, row, sandbox):
    first = current_volumes(redis, row)
    assert current_volumes(redis, row) == first == read_volumes(redis, row.pk)
    assert asked(sandbox) == 1
    assert 0 < redis.ttl(keys.volumes(row.pk)) <= 3600


def test_old_ones_are_told_with_their_age_where_nothing_newer_comes(redis, row, sandbox):
    old = {"at": int(time.time() * 1000) - 1_800_000, "volumes": {"BTC-USD": 5.0}}
    redis.set(keys.volumes(row.pk), orjson.dumps(old))
    sandbox.stop()
    assert current_volumes(redis, row) == Volumes({"BTC-USD": 5.0}, old["at"])
    redis.delete(keys.volumes(row.pk))
    with pytest.raises(Unreachable):
        current_volumes(redis, row)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"at": 1}',
        b'{"at": "x", "volumes": {}}',
        b'{"volumes": 3}',
        b'{"at": 1e300, "volumes": {}}',
    ],
)
def test_what_is_kept_and_unreadable_counts_as_not_there(redis, row, stored):
    redis.set(keys.volumes(row.pk), stored)
    assert read_volumes(redis, row.pk) == Volumes()
    assert current_volumes(redis, row).by_symbol["BTC-USD"] > 0


def test_a_key_of_another_type_is_replaced(redis, row):
    redis.lpush(keys.volumes(row.pk), "x")
    assert current_volumes(redis, row).by_symbol["BTC-USD"] > 0


@pytest.mark.parametrize("venue", ["sandbox", "coinbase"])
def test_a_row_that_cannot_be_read_costs_that_row(redis, sandbox, venue):
    rest = open_rest(make_row(sandbox, venue))
    good = {"symbol": "A", "quoteVolume": "3.5"}
    worse = [None, 7, {}, {"symbol": "B"}, {"symbol": "C", "quoteVolume": "NaN"}]
    if venue == "coinbase":
        good = {"product_id": "A", "volume_24h": "7", "price": "0.5"}
        worse = [{}, {"product_id": "B", "volume_24h": "", "price": ""}]
        worse += [{"product_id": "C", "approximate_quote_24h_volume": "-1"}]
    answer = [*worse, good]
    rest.client.get = lambda *_, **__: {"products": answer} if venue == "coinbase" else answer
    assert rest.list_volumes() == {"A": 3.5}
    rest.close()


def test_the_most_traded_come_first_and_equal_ones_by_name(redis, row):
    volumes = by_name(row)
    assert most_traded(row, volumes, "USD", 2).symbols == ("SOL-USD", "ETH-USD")
    equal = Volumes(dict.fromkeys(volumes.by_symbol, 7.0), volumes.at_ms)
    assert most_traded(row, equal, "USD", 2).symbols == ("BTC-USD", "ETH-USD")


def test_what_does_not_trade_or_has_no_volume_is_left_out(redis, row):
    volumes = by_name(row)
    row.symbols.filter(symbol="SOL-USD").update(status="halted")
    volumes.by_symbol["ETH-USD"] = 0.0
    found = most_traded(row, volumes, "USD", 25)
    assert found.symbols == ("BTC-USD",)
    assert str(found) == "all 1 that were traded in USD in 24 hours"
    del volumes.by_symbol["BTC-USD"]
    assert str(most_traded(row, volumes, "USD", 25)) == "no symbol in USD has a known volume"


def test_a_choice_that_makes_no_sense_is_told_before_anybody_is_asked(redis, row):
    with pytest.raises(UnknownSymbol, match=r"its quote currencies are: USD$"):
        check_choice(row, "EUR", 25)
    for count in (0, -1, 1001):
        with pytest.raises(ValueError, match=r"from 1 to 1,000 symbols are chosen at once"):
            check_choice(row, "USD", count)
    assert quotes_of(row) == ["USD"]
    row.symbols.all().delete()
    with pytest.raises(UnknownSymbol, match="sync its listing first"):
        check_choice(row, "USD", 25)
