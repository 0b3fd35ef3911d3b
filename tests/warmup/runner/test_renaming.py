"""A symbol that goes on under another name: its history, by the command and by a runner."""

from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import Permanent, Unreachable
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.control_client import ControlClient
from exchanges.lock.fencing import Fenced
from exchanges.lock.status import read_status
from exchanges.symbols.fetch_listing import fetch_listing
from livermore.command import UsageError
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.columns import read_columns
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.warmup.runners import (
    MINUTE_MS,
    Comparison,
    events_of,
    make_row,
    running,
    serve,
    stored,
    wait_for_time,
    wait_until,
)
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.unconfirmed import SECOND_LOOK_MS
from warmup.runner.renaming import rename_symbol

pytestmark = pytest.mark.django_db(transaction=True)

BTC, ETH, POL = "BTC-USD", "ETH-USD", "POL-USD"
H1 = Timeframe.H1
HOUR = H1.ms
NOW = 1_795_046_400_000  # 2026-11-19 00:00 UTC


@pytest.fixture
def sandbox():
    with serve(speed=60) as server:
        yield server


@pytest.fixture(params=["sandbox", "coinbase"])
def row(request, redis, sandbox):
    return make_row(sandbox, request.param, [BTC, ETH])


def run(*arguments):
    out = StringIO()
    call_command("symbols", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def rename_on_exchange(sandbox, row):
    """Let ETH-USD go on as POL-USD, some minutes ago, and the listing be looked at."""
    sandbox.scenarios.add("renamed", symbol=ETH, to=POL)
    sandbox.clock.advance(5 * MINUTE_MS)
    fetch_listing(row)


def leap_to(sandbox, time_ms):
    sandbox.clock.advance(time_ms - sandbox.clock.now_ms())


# -- By the command alone


def test_the_new_name_has_the_history_of_the_old_one_and_is_monitored(redis, sandbox, row):
    call_command("warmup", row.name, stdout=StringIO(), stderr=StringIO())
    before = {each: stored(redis, row.pk, ETH, each) for each in LONGEST_FIRST}
    rename_on_exchange(sandbox, row)
    said = run(row.name, "--rename", "eth-usd", "pol-usd")
    rows = {symbol.symbol: symbol for symbol in row.symbols.all()}
    assert (rows[ETH].status_text, rows[ETH].is_monitored) == ("renamed to POL-USD", False)
    assert (rows[POL].status_text, rows[POL].is_monitored) == ("trading", True)
    assert f"{row.name}: ETH-USD is renamed to POL-USD, which is monitored; 600 candles" in said
    for timeframe, (candles, coverage) in before.items():
        found, known = stored(redis, row.pk, POL, timeframe)
        assert found[: len(candles)] == candles
        assert known[0][0] == coverage[0][0]
        assert stored(redis, row.pk, ETH, timeframe) == (candles, coverage), "it stays"


def test_what_closed_since_is_fetched_under_the_new_name(redis, sandbox, row):
    call_command("warmup", row.name, stdout=StringIO(), stderr=StringIO())
    rename_on_exchange(sandbox, row)
    run(row.name, "--rename", ETH, POL)
    wait_for_time(sandbox, sandbox.clock.now_ms() + 2 * MINUTE_MS)
    sandbox.requests.reset()
    call_command("warmup", row.name, "--repair", stdout=StringIO(), stderr=StringIO())
    assert len(stored(redis, row.pk, POL, Timeframe.M1)[1]) <= 2
    for _ in range(2):  # until the exchange has said twice that there is nothing
        sandbox.clock.advance(SECOND_LOOK_MS)
        call_command("warmup", row.name, "--repair", stdout=StringIO(), stderr=StringIO())
    asked = {call.symbol for call in sandbox.requests.candles}
    assert ETH not in asked
    rows, known = stored(redis, row.pk, POL, Timeframe.M1)
    assert len(known) == 1
    assert len(rows) > 101


def test_the_listing_and_the_command_offer_it(redis, sandbox, row):
    row.symbols.update(created_at="2026-01-01T00:00:00Z")
    rename_on_exchange(sandbox, row)
    offer = f"./run symbols {row.name} --rename ETH-USD POL-USD"
    assert offer in run(row.name, "--sync")
    listed = run(row.name)
    assert offer in listed
    assert "delisted" in listed
    run(row.name, "--rename", ETH, POL)
    assert "--rename" not in run(row.name, "--sync")
    assert "renamed to POL-USD" in run(row.name, "--all")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("BTC-USD", "POL-USD"), "still trades BTC-USD"),
        (("ETH-USD", "POLL-USD"), "does not list POLL-USD"),
        (("DOGGE-USD", "POL-USD"), "does not list DOGGE-USD"),
    ],
)
def test_what_is_typed_wrong_gets_one_line_and_changes_nothing(redis, sandbox, row, names, reason):
    rename_on_exchange(sandbox, row)
    with pytest.raises(UsageError) as refused:
        run(row.name, "--rename", *names)
    assert reason in str(refused.value)
    assert not redis.exists(keys.epoch(row.pk)), "not even the lock was taken"


def test_one_unit_that_is_not_the_other_is_refused_with_both_prices(redis, sandbox, row):
    call_command("warmup", row.name, stdout=StringIO(), stderr=StringIO())
    sandbox.scenarios.add("delisted", symbol=ETH)
    sandbox.scenarios.add("renamed", symbol=BTC, to=POL)  # a hundred times the price
    sandbox.clock.advance(5 * MINUTE_MS)
    fetch_listing(row)
    with pytest.raises(
        CommandError, match=r"the price of POL-USD begins at .* ended at"
    ) as refused:
        run(row.name, "--rename", ETH, POL)
    assert "\n" not in str(refused.value)
    assert row.symbols.get(symbol=ETH).status == "delisted"
    assert not redis.exists(keys.coverage(row.pk, POL, H1))


def test_while_the_exchange_does_not_answer_nothing_is_changed(redis, sandbox, row):
    call_command("warmup", row.name, stdout=StringIO(), stderr=StringIO())
    rename_on_exchange(sandbox, row)
    sandbox.faults.add("status", status=503)
    with pytest.raises((CommandError, Unreachable)):
        run(row.name, "--rename", ETH, POL)
    assert row.symbols.get(symbol=ETH).status == "delisted"


# -- What is kept


def candles(start, count, price=100.0, timeframe=H1):
    times = range(start, start + count * timeframe.ms, timeframe.ms)
    return [Candle(time, price, price, price, price, 1.0, timeframe) for time in times]


@pytest.fixture
def renamed(redis, sandbox, row):
    """Rename ETH-USD to POL-USD over what a test has put in the cache; return POL-USD's hours."""
    row.symbols.filter(symbol=ETH).update(status="delisted")
    row.symbols.create(symbol=POL, native_symbol="POLUSD", base="POL", quote="USD")
    cache = CandleCache(redis, row.pk)

    def renamed(old, new, old_covered=None, new_covered=None):
        for symbol, rows, covered in ((ETH, old, old_covered), (POL, new, new_covered)):
            if rows and covered is None:
                covered = ((rows[0].timestamp, rows[-1].timestamp + HOUR),)
            cache.write(symbol, H1, rows, covered or ())
        rename_symbol(redis, row, cache, no_rest, ETH, POL)
        found, known = stored(redis, row.pk, POL, H1)
        return [row[0] for row in found], [tuple(span) for span in known]

    return renamed


def no_rest():
    raise AssertionError("no price was missing")


def hours(start, count):
    return list(range(start, start + count * HOUR, HOUR))


def test_the_old_names_candles_come_before_those_of_the_new_one(renamed):
    times, known = renamed(candles(NOW, 5), candles(NOW + 5 * HOUR, 3))
    assert (times, known) == (hours(NOW, 8), [(NOW, NOW + 8 * HOUR)])


def test_where_the_new_name_was_known_to_have_none_the_old_ones_are_taken(renamed):
    """Warmed when it was new: all before its first candle was vouched for as empty."""
    covered = ((NOW - 100 * HOUR, NOW + 8 * HOUR),)
    times, known = renamed(candles(NOW, 5), candles(NOW + 6 * HOUR, 2), new_covered=covered)
    assert times == hours(NOW, 5) + hours(NOW + 6 * HOUR, 2)
    assert known == [(NOW, NOW + 8 * HOUR)]


def test_what_nobody_knows_between_them_stays_missing(renamed):
    _, known = renamed(candles(NOW, 5), candles(NOW + 9 * HOUR, 2))
    assert known == [(NOW, NOW + 5 * HOUR), (NOW + 9 * HOUR, NOW + 11 * HOUR)]


def test_a_hole_in_the_old_history_is_a_hole_in_the_new_one(renamed):
    holed = ((NOW, NOW + 2 * HOUR), (NOW + 3 * HOUR, NOW + 5 * HOUR))
    covered = ((NOW - 100 * HOUR, NOW + 8 * HOUR),)
    _, known = renamed(candles(NOW, 5), candles(NOW + 5 * HOUR, 3), holed, covered)
    assert known == [(NOW, NOW + 2 * HOUR), (NOW + 3 * HOUR, NOW + 8 * HOUR)]


def test_where_both_traded_at_once_the_new_names_candles_stay(redis, row, renamed):
    times, known = renamed(candles(NOW, 9, 100.0), candles(NOW + 5 * HOUR, 3, 110.0))
    assert (times, known) == (hours(NOW, 8), [(NOW, NOW + 8 * HOUR)])
    rows, _ = stored(redis, row.pk, POL, H1)
    assert [each[4] for each in rows] == [100.0] * 5 + [110.0] * 3


def test_what_is_kept_beside_the_six_numbers_is_copied_too(redis, row, renamed):
    columns = read_columns((20.5, 3, 4.0, 8.25))
    old = [replace(each, columns=columns) for each in candles(NOW, 2)]
    renamed([*old, *candles(NOW + 2 * HOUR, 1)], candles(NOW + 3 * HOUR, 1))
    rows, _ = stored(redis, row.pk, POL, H1)
    assert [each[6:] for each in rows] == [[20.5, 3, 4.0, 8.25]] * 2 + [[]] * 2


def test_no_more_is_kept_than_of_any_other_pair(renamed):
    times, known = renamed(candles(NOW, 990), candles(NOW + 990 * HOUR, 30))
    assert times == hours(NOW + 20 * HOUR, CANDLES_KEPT)
    assert known == [(NOW + 20 * HOUR, NOW + 1020 * HOUR)]


def test_a_new_name_without_a_candle_takes_all(redis, row, renamed, open_prices):
    times, known = renamed(candles(NOW, 5), [])
    assert (times, known) == (hours(NOW, 5), [(NOW, NOW + 5 * HOUR)])


@pytest.fixture
def open_prices(redis, row):
    """Let a day of the new name be known, so that no exchange has to be asked."""
    day = Timeframe.D1
    CandleCache(redis, row.pk).write(POL, day, candles(day.floor(NOW), 1, timeframe=day))
    CandleCache(redis, row.pk).write(ETH, day, candles(day.floor(NOW), 1, timeframe=day))


def test_an_old_name_without_a_candle_leaves_the_new_one_as_it_is(renamed):
    times, known = renamed([], candles(NOW, 3))
    assert (times, known) == (hours(NOW, 3), [(NOW, NOW + 3 * HOUR)])


@pytest.mark.parametrize(
    ("price", "is_taken"),
    [(51.0, True), (199.0, True), (49.0, False), (201.0, False), (24000.0, False)],
)
def test_prices_may_be_at_most_twice_or_half_of_what_they_were(renamed, price, is_taken):
    old, new = candles(NOW, 5, 100.0), candles(NOW + 20 * HOUR, 2, price)
    if is_taken:
        assert len(renamed(old, new)[0]) == 7
    else:
        with pytest.raises(Permanent, match="Nothing was changed"):
            renamed(old, new)


def test_done_twice_it_is_the_same(redis, row, renamed):
    first = renamed(candles(NOW, 5), candles(NOW + 5 * HOUR, 3))
    rename_symbol(redis, row, CandleCache(redis, row.pk), no_rest, ETH, POL)
    found, known = stored(redis, row.pk, POL, H1)
    assert ([each[0] for each in found], [tuple(span) for span in known]) == first


def test_whoever_lost_the_lock_copies_nothing(redis, row, renamed):
    lock = ExchangeLock(redis, row.pk)
    with lock.acquire() as lease:
        cache = CandleCache(redis, row.pk, lease.epoch)
    cache = CandleCache(redis, row.pk, lease.epoch)
    CandleCache(redis, row.pk).write(ETH, H1, candles(NOW, 5), ((NOW, NOW + 5 * HOUR),))
    CandleCache(redis, row.pk).write(POL, H1, candles(NOW + 5 * HOUR, 1))
    with lock.acquire(), pytest.raises(Fenced):
        rename_symbol(redis, row, cache, no_rest, ETH, POL)
    assert len(stored(redis, row.pk, POL, H1)[0]) == 1
    assert row.symbols.get(symbol=ETH).status == "delisted"


# -- By the runner that has the exchange


def test_a_runner_goes_on_under_the_new_name_without_a_hole(redis, sandbox, row):
    with running(redis, row, [BTC, ETH]):
        Comparison(redis, sandbox, row, [BTC, ETH]).wait(sandbox.clock.now_ms())
        wait_for_time(sandbox, NOW + MINUTE_MS)  # no long bar ends between the two names
        rename_on_exchange(sandbox, row)
        wait_until(lambda: read_status(redis, row.pk).details["idle"] == {ETH: "delisted"})
        assert "ETH-USD is renamed to POL-USD" in run(row.name, "--rename", ETH, POL)
        wait_until(lambda: events_of(redis, row.pk).get((POL, "1m")))
        until_ms = sandbox.clock.now_ms() + MINUTE_MS
        pairs = Comparison(redis, sandbox, row, [POL])
        wait_until(lambda: events_of(redis, row.pk)[POL, "1m"][-1]["timestamp"] >= until_ms)
        for _ in range(2):  # until the exchange has said twice that nothing lies between the two
            sandbox.clock.advance(SECOND_LOOK_MS)
            wait_for_time(sandbox, sandbox.clock.now_ms() + 2 * MINUTE_MS)
        pairs.wait(until_ms)
        wait_until(lambda: read_status(redis, row.pk).details["symbols"] == 2)
        details = read_status(redis, row.pk).details
        assert (details["idle"], details["renames"]) == ({}, [])
    rows, known = stored(redis, row.pk, POL, Timeframe.M1)
    assert len(known) == 1
    assert len(rows) > 101
    closes = [event["timestamp"] for event in events_of(redis, row.pk)[(POL, "1m")]]
    assert closes == sorted(set(closes))
    assert redis.exists(keys.indicator(row.pk, POL, Timeframe.D1))


def test_bars_that_end_between_the_names_are_known_once_the_new_one_has_closed_one(redis, sandbox):
    """Until then the exchange lacks a bar that is known to have been: its answers prove nothing."""
    row = make_row(sandbox, "sandbox", [BTC, ETH])
    tomorrow = NOW + Timeframe.D1.ms
    pairs = Comparison(redis, sandbox, row, [POL], [Timeframe.H4, Timeframe.D1])
    with running(redis, row, [BTC, ETH]):
        Comparison(redis, sandbox, row, [BTC, ETH]).wait(sandbox.clock.now_ms())
        leap_to(sandbox, NOW - MINUTE_MS // 2)
        rename_on_exchange(sandbox, row)
        wait_until(lambda: read_status(redis, row.pk).details["idle"] == {ETH: "delisted"})
        run(row.name, "--rename", ETH, POL)
        wait_until(lambda: events_of(redis, row.pk).get((POL, "1m")))
        assert {each for _, each in pairs.behind(NOW)} == {Timeframe.H4, Timeframe.D1}
    leap_to(sandbox, tomorrow)
    for _ in range(5):  # time leaps while nobody takes its pace from it
        with running(redis, row, [BTC, POL]):
            wait_for_time(sandbox, sandbox.clock.now_ms() + 4 * MINUTE_MS)
        if not pairs.behind(tomorrow):
            break
        sandbox.clock.advance(SECOND_LOOK_MS)
    assert pairs.behind(tomorrow) == []


def test_an_order_without_sense_is_an_error(redis, row):
    with running(redis, row, [BTC, ETH]):
        client = ControlClient(redis, row.pk)
        for arguments in ({}, {"old": ETH}, {"old": [ETH], "new": POL}, {"old": ETH, "new": 5}):
            reply = client.wait(client.send("rename-symbol", **arguments), 10)
            assert "needs two symbols" in reply.error, arguments


def test_a_runner_offers_it_in_its_log_and_its_status(redis, sandbox, row, caplog):
    row.symbols.update(created_at="2026-01-01T00:00:00Z")
    with running(redis, row, [BTC, ETH]):
        rename_on_exchange(sandbox, row)
        offer = [{"from": ETH, "to": [POL]}]
        wait_until(lambda: read_status(redis, row.pk).details["renames"] == offer)
        fetch_listing(row)
        wait_until(lambda: "symbols.rename_offered" in caplog.text)
    (said,) = [text for text in caplog.messages if text.startswith("symbols.rename_offered")]
    assert f"./run symbols {row.name} --rename ETH-USD POL-USD" in said


def test_a_client_that_is_not_needed_is_not_opened(redis, sandbox, row):
    call_command("warmup", row.name, stdout=StringIO(), stderr=StringIO())
    rename_on_exchange(sandbox, row)
    opened = []

    def open_rest():
        opened.append(ExchangeAdapterFactory(redis).rest(row))
        return opened[-1]

    cache = CandleCache(redis, row.pk)
    cache.write(POL, Timeframe.M1, cache.newest(ETH, Timeframe.M1, 1))
    rename_symbol(redis, row, cache, open_rest, ETH, POL)
    assert not opened
