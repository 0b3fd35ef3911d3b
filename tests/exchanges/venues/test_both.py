"""What is true of candles whichever protocol they came through, against the sandbox's truth."""

import time
from contextlib import suppress

import pytest

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Banned,
    Blocked,
    Temporary,
    UnknownSymbol,
    Unreachable,
)
from exchanges.rest.base import LOOKS
from exchanges.rest.clock import PEACE_SECONDS
from exchanges.rest.reply import CandleReply, QuietBars
from exchanges.sandbox.faults.rows import BAD_ROWS
from exchanges.symbols.listed import canonical
from exchanges.venues import VENUES
from exchanges.venues.binance.rest import elsewhere
from livermore.market.coverage import missing
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.venues.conftest import NEW, NOW_MS, PLACES, TODAY_MS, told_of, values
from tests.exchanges.venues.minutes import AGO_MS, NOW_MINUTE_MS

HOUR_MS = Timeframe.H1.ms
SLACK_MS = 250  # our idea of their time goes on while theirs stands still


@pytest.fixture(params=PLACES, ids=str)
def place(request):
    return request.param


@pytest.fixture
def venue(place):
    return place.venue


@pytest.fixture
def named(place, sandbox):
    """Return the canonical name of what has the prices of a spot symbol, of the kind tried."""
    return lambda symbol: place.named(symbol, sandbox.market)


@pytest.fixture
def rest(venue, row, adapters, sandbox):
    return adapters(row(venue, sandbox))


@pytest.fixture
def truth(venue, sandbox):
    """Return what this exchange has of a pair in a stretch of time."""
    omits = VENUES[venue].quiet_bars is QuietBars.OMITS

    def truth(symbol, timeframe, start_ms, end_ms):
        return sandbox.market.closed_candles(
            symbol, Timeframe(timeframe), start_ms, end_ms, traded_only=omits
        )

    return truth


# The newest


@pytest.mark.parametrize("timeframe", Timeframe)
def test_the_newest_are_the_exchanges_own(rest, truth, sandbox, timeframe, named):
    if rest.quiet_bars is QuietBars.OMITS:
        sandbox.clock.advance(30_000)  # nothing was traded yet in this minute
    end_ms = timeframe.floor(NOW_MS)
    got = rest.get_candles(named("ETH-USD"), timeframe, limit=100)
    assert values(got) == truth(named("ETH-USD"), timeframe, end_ms - 100 * timeframe.ms, end_ms)
    assert len(got) == 100
    assert got.covered == got.asked == ((end_ms - 100 * timeframe.ms, end_ms),)
    assert (got.refused, got.young, got.empty) == ([], None, ())
    assert {candle.timeframe for candle in got} == {timeframe}


def test_a_newest_candle_that_may_still_grow_comes_apart(coinbase, sandbox):
    """Its last trades may be missing, where a server is behind."""
    end_ms = NOW_MINUTE_MS  # no trade yet in the minute that begins here
    got = coinbase.get_candles("ETH-USD", "1m", limit=100)
    truth = sandbox.market.closed_candles(
        "ETH-USD", Timeframe.M1, end_ms - 101 * MINUTE_MS, end_ms, traded_only=True
    )
    assert values([*got, got.young]) == truth
    assert got.covered == ((end_ms - 101 * MINUTE_MS, end_ms - MINUTE_MS),)


@pytest.mark.parametrize("limit", [0, -5])
def test_less_than_one_candle_cannot_be_asked_for(rest, sandbox, limit, named):
    for start_ms in (None, AGO_MS):
        with pytest.raises(ValueError, match=f"limit is 1 or more, not {limit}"):
            rest.get_candles(named("BTC-USD"), "1m", start_ms, limit=limit)
    assert sandbox.requests.candles == []


def test_one_hundred_is_the_usual_number(rest, named):
    assert len(rest.get_candles(named("BTC-USD"), "5m")) == 100


def test_as_many_as_one_thousand_come_in_pages(rest, truth, sandbox, named):
    got, count = rest.get_candles(named("BTC-USD"), "1m", limit=1000), told_of(rest)
    start_ms = NOW_MINUTE_MS - count * MINUTE_MS
    assert values(got) == truth(named("BTC-USD"), "1m", start_ms, NOW_MINUTE_MS)
    too_old = ((NOW_MINUTE_MS - 1000 * MINUTE_MS, start_ms),)
    assert got.too_old == (too_old if count < 1000 else ())
    assert rest.candle_calls == len(sandbox.requests.candles) > (count == 1000)


def test_the_newest_before_an_end_are_told_without_an_open_one(rest, truth, named):
    end_ms = NOW_MINUTE_MS - 500 * MINUTE_MS
    got = rest.get_candles(named("BTC-USD"), "1m", end_ms=end_ms, limit=7)
    assert values(got) == truth(named("BTC-USD"), "1m", end_ms - 7 * MINUTE_MS, end_ms)
    assert got.open_candle is None
    assert got.covered == ((end_ms - 7 * MINUTE_MS, end_ms),)


def test_a_short_history_is_covered_back_past_its_first_candle(rest, truth, named):
    got = rest.get_candles(named(NEW.symbol), "1h", limit=100)
    end_ms = Timeframe.H1.floor(NOW_MS)
    assert values(got) == truth(named(NEW.symbol), "1h", 0, end_ms)
    assert len(got) == 9
    assert got[0].timestamp == NEW.listed_ms
    # All that is looked at, or one window that has a row at its end.
    known = 309 if rest.quiet_bars is QuietBars.OMITS else told_of(rest)
    assert got.covered == ((end_ms - known * HOUR_MS, end_ms),)
    assert got.asked == ((end_ms - told_of(rest) * HOUR_MS, end_ms),)


def test_a_symbol_that_was_just_listed_has_no_closed_candle(rest, named):
    got = rest.get_candles(named(NEW.symbol), "1d", limit=100)
    assert (list(got), got.young, got.covered) == ([], None, ())
    assert got.open_candle.timestamp == TODAY_MS
    assert got.empty == ((TODAY_MS - told_of(rest) * 24 * HOUR_MS, TODAY_MS),)


# Ranges


@pytest.mark.parametrize(("timeframe", "periods"), [("1m", 2345), ("15m", 301), ("1d", 1001)])
def test_a_range_is_fetched_in_as_few_pages_as_the_exchange_allows(
    rest, truth, sandbox, timeframe, periods, named
):
    timeframe, periods = Timeframe(timeframe), min(periods, (rest.depth_rows or periods + 3) - 3)
    end_ms = timeframe.floor(NOW_MS) - 3 * timeframe.ms
    start_ms = end_ms - periods * timeframe.ms
    got = rest.get_candles(named("BTC-USD"), timeframe, start_ms, end_ms)
    assert values(got) == truth(named("BTC-USD"), timeframe, start_ms, end_ms)
    assert len(got) == periods
    assert got.covered == ((start_ms, end_ms),)
    assert len(sandbox.requests.candles) == rest.calls_for(periods)
    assert {request.status for request in sandbox.requests.candles} == {200}


def test_a_range_holds_what_opened_from_its_start_until_before_its_end(rest, truth, named):
    edges = [(0, 0, 5), (1, 1, 5), (-1, -1, 5), (1, -1, 4)]
    for start_off, end_off, count in edges:
        start_ms, end_ms = AGO_MS + start_off, AGO_MS + 5 * MINUTE_MS + end_off
        got = rest.get_candles(named("BTC-USD"), "1m", start_ms, end_ms)
        assert values(got) == truth(named("BTC-USD"), "1m", start_ms, end_ms)
        assert len(got) == count


def test_a_range_without_an_end_goes_up_to_now_and_not_into_the_open_candle(rest, truth, named):
    start_ms = NOW_MINUTE_MS - 20 * MINUTE_MS
    for end_ms in (None, NOW_MS, NOW_MS + 1_000 * HOUR_MS):
        got = rest.get_candles(named("BTC-USD"), "1m", start_ms, end_ms)
        assert values(got) == truth(named("BTC-USD"), "1m", start_ms, NOW_MINUTE_MS)
        assert got.covered == ((start_ms, NOW_MINUTE_MS),)
        assert got.open_candle is None


def test_a_limit_from_a_start_counts_periods(rest, truth, named):
    got = rest.get_candles(named("BTC-USD"), "1m", AGO_MS, limit=30)
    assert values(got) == truth(named("BTC-USD"), "1m", AGO_MS, AGO_MS + 30 * MINUTE_MS)
    assert got.covered == ((AGO_MS, AGO_MS + 30 * MINUTE_MS),)
    both = rest.get_candles(named("BTC-USD"), "1m", AGO_MS, AGO_MS + 10 * MINUTE_MS, limit=30)
    assert len(both) == 10


def test_an_empty_range_costs_no_call(rest, sandbox, named):
    for start_ms, end_ms in ((AGO_MS, AGO_MS), (AGO_MS, AGO_MS - 1), (NOW_MS, None)):
        got = rest.get_candles(named("BTC-USD"), "1m", start_ms, end_ms)
        assert (list(got), got.covered) == ([], ())
    assert sandbox.requests.candles == []


def test_an_empty_answer_is_asked_for_again_and_proves_nothing(rest, place, sandbox, named):
    start_ms = NEW.listed_ms - 50 * HOUR_MS
    got = rest.get_candles(named(NEW.symbol), "1h", start_ms, start_ms + 9 * HOUR_MS)
    assert (list(got), got.covered) == ([], ())
    assert got.empty == ((start_ms, start_ms + 9 * HOUR_MS),)
    assert len(sandbox.requests.candles) == (1 if place.reaches_now else LOOKS)


@pytest.mark.parametrize("times", [1, 2])
def test_an_answer_that_is_empty_by_mistake_costs_a_call_and_no_candle(
    rest, truth, sandbox, times, named
):
    for window in ({"limit": 50}, {"start_ms": AGO_MS, "end_ms": AGO_MS + 9 * MINUTE_MS}):
        sandbox.requests.reset()
        sandbox.faults.add("empty", times=times, symbol=named("SOL-USD"))
        got = rest.get_candles(named("SOL-USD"), "1m", **window)
        start_ms, end_ms = got.covered[0][0], got.covered[-1][1]
        assert values(got) == truth(named("SOL-USD"), "1m", start_ms, end_ms)
        assert len(got) >= 9
        assert len(sandbox.requests.candles) == times + 1


# Trades


def test_whether_anything_traded_since_a_time_is_known_from_minutes(rest, sandbox, named):
    busy, quiet = named("BTC-USD"), named("DASH-USD")
    assert rest.has_traded([busy], NOW_MS - 3 * MINUTE_MS)
    minutes = sandbox.market.closed_candles(quiet, Timeframe.M1, AGO_MS, NOW_MINUTE_MS)
    traded = [row[0] for row in minutes if row[5]]
    last_ms = traded[-1]
    assert rest.has_traded([quiet], last_ms)
    assert not rest.has_traded([quiet], last_ms + 1)
    assert rest.has_traded([quiet, busy], last_ms + 1)
    assert rest.has_traded([busy], NOW_MS) is None


def test_who_asks_for_trades_since_long_ago_asks_for_one_page(rest, sandbox, named):
    assert rest.has_traded([named("BTC-USD")], NOW_MS - 90 * 24 * HOUR_MS)
    assert len(sandbox.requests.candles) == 1


# Open and closed


@pytest.mark.parametrize("timeframe", Timeframe)
def test_the_open_candle_comes_apart(rest, sandbox, timeframe, named):
    got = rest.get_candles(named("BTC-USD"), timeframe, limit=3)
    opened = timeframe.floor(NOW_MS)
    assert got.open_candle.timestamp == opened
    assert got[-1].close_time_ms == opened
    whole = sandbox.market.candle(named("BTC-USD"), timeframe, opened)
    assert got.open_candle.open == whole[1]
    assert got.open_candle.volume < whole[5]


@pytest.mark.parametrize("timeframe", Timeframe)
def test_a_bar_that_closed_a_moment_ago_may_still_change(rest, truth, sandbox, timeframe, named):
    boundary_ms = timeframe.ceil(NOW_MS)
    sandbox.clock.advance(boundary_ms + rest.settle_ms - SLACK_MS - NOW_MS)
    got = rest.get_candles(named("BTC-USD"), timeframe, limit=2)
    assert got[-1].close_time_ms == got.covered[-1][1] == boundary_ms - timeframe.ms
    trades = sandbox.market.trades(named("BTC-USD"), boundary_ms)
    if rest.quiet_bars is QuietBars.OMITS and trades[0].time_ms > sandbox.clock.now_ms():
        assert got.open_candle is None  # nor is the one that may change the open one
    else:
        assert got.open_candle.timestamp == boundary_ms
    assert values(got) == truth(
        named("BTC-USD"), timeframe, boundary_ms - 3 * timeframe.ms, boundary_ms - timeframe.ms
    )


def test_a_bar_is_closed_once_it_has_settled(rest, truth, sandbox, named):
    boundary_ms = NOW_MINUTE_MS + MINUTE_MS
    sandbox.clock.advance(boundary_ms + max(rest.settle_ms, 40_000) - NOW_MS)  # traded by then
    got = rest.get_candles(named("BTC-USD"), "1m", limit=2)
    assert got[-1].close_time_ms == got.covered[-1][1] == boundary_ms
    assert values(got) == truth(named("BTC-USD"), "1m", boundary_ms - 2 * MINUTE_MS, boundary_ms)


@pytest.mark.parametrize("hours", [-7, 7])
def test_the_exchanges_clock_decides_and_not_ours(rest, truth, sandbox, hours, named):
    sandbox.faults.add("skew_ms", ms=hours * HOUR_MS)
    got = rest.get_candles(named("BTC-USD"), "1h", limit=5)
    end_ms = Timeframe.H1.floor(NOW_MS + hours * HOUR_MS)
    assert values(got) == truth(named("BTC-USD"), "1h", end_ms - 5 * HOUR_MS, end_ms)
    assert got.open_candle.timestamp == end_ms


@pytest.mark.parametrize(("minutes", "limit"), [(2, 5), (200, 100), (2000, 1000)])
def test_a_clock_that_turns_out_late_is_asked_again_at_once(
    rest, venue, truth, sandbox, minutes, limit, named
):
    rest.get_candles(named("BTC-USD"), "1m", limit=5)
    sandbox.clock.advance(minutes * MINUTE_MS + 30_000)  # as after this machine slept
    limit = min(limit, told_of(rest))
    got = rest.get_candles(named("BTC-USD"), "1m", limit=limit)
    end_ms = NOW_MINUTE_MS + minutes * MINUTE_MS
    assert values(got) == truth(named("BTC-USD"), "1m", end_ms - limit * MINUTE_MS, end_ms)
    assert got.covered == ((end_ms - limit * MINUTE_MS, end_ms),)
    assert got.open_candle.timestamp == end_ms
    assert sandbox.requests.counts[f"{venue}.time"] <= 4


def test_the_clock_is_asked_once_in_a_while(rest, venue, sandbox, monkeypatch, named):
    for _ in range(3):
        rest.get_candles(named("BTC-USD"), "1m", limit=1)
    assert sandbox.requests.counts[f"{venue}.time"] == 1
    monkeypatch.setattr("exchanges.rest.clock.PEACE_SECONDS", -PEACE_SECONDS)
    rest.clock.forget()
    for _ in range(2):
        rest.get_candles(named("BTC-USD"), "1m", limit=1)
    assert sandbox.requests.counts[f"{venue}.time"] > 1


# Bad rows

UNTIMED = {"seconds", "microseconds", "milliseconds"}
SPOILS_VALUES = sorted(set(BAD_ROWS) - UNTIMED - {"duplicate", "out_of_order"})


@pytest.mark.parametrize("way", SPOILS_VALUES)
def test_a_bad_row_is_refused_and_its_time_stays_unknown(rest, truth, sandbox, way, named):
    sandbox.faults.add("bad_rows", way=way, row=4)
    end_ms = AGO_MS + 10 * MINUTE_MS
    got = rest.get_candles(named("BTC-USD"), "1m", AGO_MS, end_ms)
    (line,) = got.refused
    ((bad_ms, bad_end_ms),) = missing(got.covered, AGO_MS, end_ms)
    assert bad_end_ms - bad_ms == MINUTE_MS
    assert values(got) == [
        row for row in truth(named("BTC-USD"), "1m", AGO_MS, end_ms) if row[0] != bad_ms
    ]
    assert len(got) == 9
    assert str(bad_ms // 1000)[:-2] in line


@pytest.mark.parametrize("way", sorted(UNTIMED))
def test_a_row_of_an_unknown_time_leaves_only_its_neighbours_known(
    rest, place, truth, sandbox, way, named
):
    if way == place.unit:
        pytest.skip("the unit it should be in")
    sandbox.faults.add("bad_rows", way=way, row=4)
    end_ms = AGO_MS + 10 * MINUTE_MS
    got = rest.get_candles(named("BTC-USD"), "1m", AGO_MS, end_ms)
    assert len(got.refused) == 1
    assert len(got) == 9
    assert missing(got.covered, AGO_MS, end_ms)
    assert set(values(got)) < set(truth(named("BTC-USD"), "1m", AGO_MS, end_ms))


def test_a_row_that_comes_twice_is_counted_and_costs_nothing(rest, truth, sandbox, named):
    sandbox.faults.add("bad_rows", way="duplicate", row=4)
    end_ms = AGO_MS + 10 * MINUTE_MS
    got = rest.get_candles(named("BTC-USD"), "1m", AGO_MS, end_ms)
    assert values(got) == truth(named("BTC-USD"), "1m", AGO_MS, end_ms)
    assert got.covered == ((AGO_MS, end_ms),)
    assert len(got.refused) == 1


def test_a_row_out_of_order_is_refused(rest, truth, sandbox, named):
    sandbox.faults.add("bad_rows", way="out_of_order", row=4)
    end_ms = AGO_MS + 10 * MINUTE_MS
    got = rest.get_candles(named("BTC-USD"), "1m", AGO_MS, end_ms)
    assert len(got.refused) == 1
    assert len(got) == 9
    assert set(values(got)) < set(truth(named("BTC-USD"), "1m", AGO_MS, end_ms))
    kept = {candle.timestamp for candle in got}
    ((bad_ms, _),) = missing(got.covered, AGO_MS, end_ms)
    assert bad_ms not in kept


@pytest.mark.parametrize("way", ["nan", "off_boundary", "out_of_order"])
def test_the_newest_are_found_around_a_bad_row(rest, truth, sandbox, way, named):
    sandbox.faults.add("bad_rows", way=way, symbol=named("BTC-USD"), times=1)
    got = rest.get_candles(named("BTC-USD"), "1m", limit=200)
    assert len(got) == 200
    assert len(got.refused) == 1
    start_ms = got[0].timestamp
    assert set(values(got)) <= set(truth(named("BTC-USD"), "1m", start_ms, NOW_MINUTE_MS))
    assert len(missing(got.covered, start_ms, NOW_MINUTE_MS)) == 1


# Names


def test_an_unknown_symbol_costs_no_candle_call(rest, sandbox):
    with pytest.raises(UnknownSymbol, match="lists no symbol NOPE-USD"):
        rest.get_candles("NOPE-USD", "1m")
    assert sandbox.requests.candles == []


def test_a_symbol_that_the_exchange_took_off_is_unknown(place, row, adapters, sandbox):
    exchange = row(place.venue, sandbox)
    gone = canonical("GONE", "USD", place.kind)
    exchange.symbols.create(symbol=gone, native_symbol="GONE", kind=place.kind)
    rest = adapters(exchange)
    with pytest.raises(UnknownSymbol, match="does not know this symbol"):
        rest.get_candles(gone, "1m")


def test_the_listing_is_fetched_once_and_only_without_rows(place, row, adapters, sandbox, named):
    bare, filled, symbol = row(place.venue, sandbox), row(place.venue, sandbox), named("BTC-USD")
    (one,) = (each for each in adapters(bare).list_symbols() if each.symbol == symbol)
    sandbox.requests.reset()
    filled.symbols.create(symbol=symbol, native_symbol=one.native_symbol, kind=one.kind)
    for exchange, calls in ((filled, 0), (bare, place.listing_calls)):
        rest = adapters(exchange)
        for _ in range(2):
            rest.get_candles(symbol, "1m", limit=1)
        assert sandbox.requests.counts[f"{place.venue}.{place.listing}"] == calls


def test_the_listing_tells_what_trades(rest, place, sandbox):
    listed = {item.symbol: item for item in rest.list_symbols() if item.kind == place.kind}
    known = sandbox.market.listings
    expected = {one: known[one] for one in known if known[one].is_on(place.venue, place.kind)}
    if not place.lists_all:
        expected = {one: expected[one] for one in expected if expected[one].status == "TRADING"}
    assert set(listed) == set(expected)
    for symbol, item in listed.items():
        assert item.is_trading == (expected[symbol].status == "TRADING")
        assert (item.base, item.quote) == (expected[symbol].base, expected[symbol].quote)


def test_a_timeframe_that_is_none_is_refused(rest, sandbox, named):
    with pytest.raises(ValueError, match="2h"):
        rest.get_candles(named("BTC-USD"), "2h")
    assert sandbox.requests.candles == []


def test_the_exchange_tells_its_time(rest, sandbox):
    assert rest.server_time_ms() == NOW_MS - NOW_MS % rest.time_step_ms


# Failures


@pytest.mark.parametrize("fault", [
    {"kind": "html200"}, {"kind": "truncated"}, {"kind": "truncated", "cut": "json"},
    {"kind": "reset"}, {"kind": "status", "status": 500}, {"kind": "status", "status": 503},
])  # fmt: skip
def test_a_failure_that_passes_costs_a_call_and_no_candle(rest, truth, sandbox, fault, named):
    sandbox.faults.add(**fault, times=1, symbol=named("BTC-USD"))
    got = rest.get_candles(named("BTC-USD"), "1m", AGO_MS, AGO_MS + 9 * MINUTE_MS)
    assert values(got) == truth(named("BTC-USD"), "1m", AGO_MS, AGO_MS + 9 * MINUTE_MS)
    assert len(sandbox.requests.candles) == 2
    sandbox.faults.add(**fault, symbol=named("BTC-USD"))
    with pytest.raises(Unreachable):
        rest.get_candles(named("BTC-USD"), "1m", AGO_MS, AGO_MS + 9 * MINUTE_MS)


@pytest.mark.parametrize(("status", "kind"), [(451, Blocked), (418, Banned)])
def test_a_failure_that_stays_is_named(rest, sandbox, status, kind, named):
    sandbox.faults.add("status", status=status, symbol=named("BTC-USD"))
    with pytest.raises(kind):
        rest.get_candles(named("BTC-USD"), "1m", limit=1)
    assert len(sandbox.requests.candles) == 1


@pytest.fixture
def short_pauses(monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.05)


@pytest.mark.parametrize("endpoint", [None, "candles of all", "time"])
@pytest.mark.parametrize("pages", [1, 4, 6])
def test_a_firewalls_pages_are_waited_out(
    rest, place, sandbox, short_pauses, endpoint, pages, named
):
    if endpoint == "candles of all":
        endpoint = place.candles
    fault = sandbox.faults.add("status", status=403, endpoint=endpoint, times=pages)
    assert len(rest.get_candles(named("BTC-USD"), "1m", limit=3)) == 3
    assert fault.hits == pages


def test_pages_about_all_candles_are_no_matter_of_one_request(
    rest, place, sandbox, short_pauses, named
):
    rest.get_candles(named("BTC-USD"), "1m", limit=3)
    sandbox.faults.add("status", status=403, endpoint=place.candles, times=7)
    assert len(rest.get_candles(named("ETH-USD"), "1m", limit=3)) == 3


def test_a_request_that_alone_is_turned_away_is_given_up(rest, sandbox, short_pauses, named):
    rest.get_candles(named("BTC-USD"), "1m", limit=3)
    sandbox.faults.add("status", status=403, symbol=named("ETH-USD"))
    with pytest.raises(Unreachable, match="this request alone"):
        rest.get_candles(named("ETH-USD"), "1m", limit=3)
    assert len(rest.get_candles(named("BTC-USD"), "1m", limit=3)) == 3


def test_pages_in_front_of_the_listing_are_waited_out(rest, sandbox, short_pauses):
    fault = sandbox.faults.add("status", status=403, times=2)
    assert len(rest.list_symbols()) > 10
    assert fault.hits == 2


COUNTRY_PAGE = "The Amazon CloudFront distribution is configured to block access from your country."


@pytest.mark.parametrize("fault", [{"status": 451}, {"status": 403, "text": COUNTRY_PAGE}])
def test_a_country_that_is_not_served_is_told_at_once(rest, venue, sandbox, fault, named):
    sandbox.faults.add("status", **fault)
    with pytest.raises(Blocked, match="Run from a place") as refusal:
        rest.get_candles(named("BTC-USD"), "1m", limit=1)
    assert sum(sandbox.requests.counts.values()) == 1
    hosts = ("https://data-api.binance.vision", "wss://data-stream.binance.vision")
    assert all((host in str(refusal.value)) is (venue == "binance") for host in hosts)


@pytest.mark.parametrize(
    ("host", "is_told"),
    [
        ("api.binance.com", True),
        ("127.0.0.1:8899", True),
        ("api.binance.us", False),  # another exchange, with other markets
        ("data-api.binance.vision", False),
    ],
)
def test_binances_hosts_for_market_data_are_told_where_they_are_of_use(host, is_told):
    assert ("data-api.binance.vision" in elsewhere(host)) is is_told


def test_an_error_of_the_exchanges_own_keeps_its_meaning_with_403(row, adapters, wire):
    wire.answer((403, {}, b'{"error":"PERMISSION_DENIED","message":"Missing required scopes"}'))
    with pytest.raises(BadCredentials, match="Missing required scopes"):
        adapters(row("coinbase", wire)).list_symbols()
    for venue, body in (("binance", b'{"code":-1,"msg":"no"}'), ("coinbase", b'{"error":"no"}')):
        wire.answer((403, {}, body))
        with pytest.raises(Blocked, match=r"\(HTTP 403\)"):
            adapters(row(venue, wire)).list_symbols()
    assert len(wire.seen) == 3


@pytest.mark.parametrize("body", [b'{"message":"Forbidden"}', b'"Forbidden"', b"", b"<html>"])
def test_what_the_exchange_did_not_write_is_a_page(row, adapters, wire, venue, short_pauses, body):
    wire.answer((403, {}, body), (200, {}, b'{"serverTime":1,"epochMillis":"1"}'))
    with suppress(BadPayload):  # it is no time
        adapters(row(venue, wire)).server_time_ms()
    assert len(wire.seen) == 2


def test_a_ban_lasts_as_long_by_our_clock_where_the_exchanges_is_hours_ahead(
    rest, place, sandbox, named
):
    sandbox.clock.advance(round(time.time() * 1000) - NOW_MS + 7 * HOUR_MS)
    sandbox.faults.add("status", status=418, retry_after=60, symbol=named("BTC-USD"))
    with pytest.raises(Banned) as refusal:
        rest.get_candles(named("BTC-USD"), "1m", limit=1)
    seconds = refusal.value.until_ms / 1000 - time.time()
    assert seconds == pytest.approx(place.ban_seconds, abs=5)


def test_who_is_closed_calls_nobody(rest, sandbox, named):
    rest.get_candles(named("BTC-USD"), "1m", limit=5)
    rest.close()
    with pytest.raises(Temporary, match="stopped before"):
        rest.get_candles(named("BTC-USD"), "1m", limit=5)
    assert len(sandbox.requests.candles) == 1


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.H4])
@pytest.mark.parametrize("after_ms", [1_000, 40_000, None])
def test_the_open_candle_comes_with_a_range_without_a_call_more(
    rest, truth, sandbox, timeframe, after_ms, named
):
    open_ms = timeframe.floor(NOW_MS)
    if after_ms is not None:  # since it has opened; it may not be told before its first trade
        open_ms = timeframe.ceil(NOW_MS)
        sandbox.clock.advance(open_ms + after_ms - NOW_MS)
    start_ms = open_ms - 200 * timeframe.ms
    newest = rest.get_candles(named("BTC-USD"), timeframe, limit=1).open_candle
    without = rest.get_candles(named("BTC-USD"), timeframe, start_ms, open_ms)
    before = rest.candle_calls
    got = rest.get_candles(named("BTC-USD"), timeframe, start_ms, open_ms, with_open=True)
    assert rest.candle_calls == before + 1
    assert values(got) == values(without)
    assert (got.asked, got.covered) == (without.asked, without.covered)
    assert (without.open_candle, without.open_ms) == (None, None)
    assert got.open_candle == newest
    assert got.open_ms == open_ms


def test_no_further_call_is_made_for_the_open_candle(rest, named):
    start_ms = NOW_MINUTE_MS - rest.candles_per_call * MINUTE_MS
    without = rest.get_candles(named("BTC-USD"), "1m", start_ms)
    before = rest.candle_calls
    got = rest.get_candles(named("BTC-USD"), "1m", start_ms, with_open=True)
    assert values(got) == values(without)
    assert rest.candle_calls == 2 * before
    assert (got.open_candle is None) == (got.open_ms is None)


def test_a_range_that_ends_before_now_brings_no_open_candle(rest, named):
    got = rest.get_candles(
        named("BTC-USD"), "1m", AGO_MS, NOW_MINUTE_MS - MINUTE_MS, with_open=True
    )
    assert (got.open_candle, got.open_ms) == (None, None)


def test_a_bar_that_began_while_the_answer_came_is_not_told_to_have_no_candle(
    rest, sandbox, monkeypatch, named
):
    add_page = CandleReply.add_page

    def late(reply, *arguments):
        found = add_page(reply, *arguments)
        sandbox.clock.advance(NOW_MINUTE_MS + MINUTE_MS - sandbox.clock.now_ms())
        rest.clock.settle()
        return found

    monkeypatch.setattr(CandleReply, "add_page", late)
    start_ms = NOW_MINUTE_MS - 200 * MINUTE_MS  # one call's worth
    got = rest.get_candles(named("BTC-USD"), "1m", start_ms, NOW_MINUTE_MS, with_open=True)
    assert (got.open_candle, got.open_ms) == (None, None)
