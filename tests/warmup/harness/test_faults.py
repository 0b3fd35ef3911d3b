"""What goes wrong on the way to an exchange, each at its step and with what to do about it."""

import base64
import re
import socket
import time

import orjson
import pytest
from django.contrib.auth import get_user_model

from exchanges.models import Exchange, UserExchange
from exchanges.rest.pacing import BatchPacer, Limits, host_of
from exchanges.sandbox.market.listings import CHEAP, DEFAULT, Listing
from exchanges.stream.events import CandleUpdate, Clock
from exchanges.venues.binance.rest import BinanceRest
from exchanges.venues.coinbase import key
from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.timeframe import Timeframe
from tests.exchanges.transport.proxy import Proxy
from tests.exchanges.transport.wire import lead
from tests.warmup.harness.conftest import (
    HALF_A_DAY_MS,
    WELL,
    failures,
    move,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.tls import TlsFront
from tests.warmup.runners import MIDNIGHT_MS, serve, stored, wait_until
from tests.warmup.runners import chosen as those
from warmup.harness import ExchangeCheck, facts
from warmup.harness.facts import NoAnswer, within
from warmup.harness.report import Failed
from warmup.harness.steps import candles, limits, names, subscription

pytestmark = pytest.mark.django_db
PORT_OF_NOBODY = 9  # discard
TICKER = Ticker("BTC-USD", 2.0, -1.0, -33.3, 3.0, 0.5, 812.5, MIDNIGHT_MS)


def lines(step):
    """Return what a person reads of a step that failed; both are one line, and there is one."""
    assert step.result == "FAIL"
    assert step.remedy
    assert "\n" not in step.detail + step.remedy
    return f"{step.detail} | {step.remedy}"


# -- REST


@pytest.mark.parametrize(
    ("fault", "failed", "says"),
    [
        ({"kind": "status", "status": 451}, "clock", ["HTTP 451", "in a place that"]),
        (
            {"kind": "status", "status": 403},
            "clock",
            ["turned this address away", "HTTP 403", "leave it alone for some minutes"],
        ),
        ({"kind": "status", "status": 429}, "clock", ["HTTP 429", "wait a minute"]),
        ({"kind": "status", "status": 418, "retry_after": 60}, "clock", ["banned this address"]),
        ({"kind": "html200"}, "clock", ["something else than JSON", "curl -i http://127.0.0.1"]),
        (
            {"kind": "truncated", "cut": "json", "endpoint": "exchangeInfo"},
            "symbol",
            ["something else than JSON"],
        ),
        ({"kind": "bad_rows", "endpoint": "klines"}, "warmup", ["no usable candles: 1", "format"]),
        ({"kind": "status", "status": 500, "endpoint": "klines"}, "warmup", ["HTTP 500"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_rest_says_fails_where_it_is_said(sandbox, row, checked, fault, failed, says):
    sandbox.faults.add(**fault)
    report = checked(row)
    assert failures(report) == [failed]
    for each in says:
        assert each in lines(step_of(report, failed))
    # With the symbol that the database knows; but to who bans us nothing is sent at all.
    is_banned = fault.get("status") == 418
    assert results(report)["subscription"] == ("SKIP" if is_banned else "PASS")


def test_rest_that_is_gone_leaves_the_stream_to_be_tried(row, checked):
    report = checked(move(row, rest_url=f"http://127.0.0.1:{PORT_OF_NOBODY}"))
    skipped = {"symbol": "SKIP", "warmup": "SKIP", "keys": "SKIP", "limits": "SKIP"}
    assert results(report) == WELL | {"clock": "FAIL"} | skipped
    assert "cannot be reached: [Errno 111]" in lines(step_of(report, "clock"))
    assert step_of(report, "symbol").detail == "not tried, as this failed: clock"


def test_without_rest_and_a_listing_there_is_no_symbol_to_try(row, checked):
    row.symbols.all().delete()
    report = checked(move(row, rest_url=f"http://127.0.0.1:{PORT_OF_NOBODY}"))
    assert failures(report) == ["clock"]
    assert results(report)["subscription"] == "SKIP"


@pytest.mark.parametrize("body", ["status", "rate limits"])
def test_a_listing_that_means_nothing_stops_what_needs_one(sandbox, row, checked, body):
    if body == "status":
        sandbox.faults.add("status", status=404, endpoint="exchangeInfo")
    else:
        sandbox.faults.add("truncated", cut="json", endpoint="exchangeInfo")
    report = checked(row)
    assert "symbol" in failures(report)
    assert results(report)["warmup"] == "SKIP"
    assert results(report)["subscription"] == "PASS"


def test_within_a_ban_nothing_at_all_is_sent(redis, sandbox, row, checked):
    pacer_for(redis, row).ban(60)
    calls = sandbox.requests.counts.copy()
    report = checked(row)
    assert failures(report) == ["clock"]
    assert "banned this address until" in lines(step_of(report, "clock"))
    assert sandbox.requests.counts == calls
    assert sandbox.streams["binance"].connects == 0


def test_within_a_ban_encryption_is_neither_tried_nor_praised(redis, row, checked):
    row = move(row, rest_url=f"https://127.0.0.1:{PORT_OF_NOBODY}", ws_url="wss://127.0.0.1:9")
    pacer_for(redis, row).ban(60)
    report = checked(row)
    assert failures(report) == ["tls"]
    assert "banned this address until" in lines(step_of(report, "tls"))
    assert results(report)["subscription"] == results(report)["clock"] == "SKIP"


def pacer_for(redis, row):
    return BatchPacer(redis, host_of(row.rest_url), 5, 1000)


def test_a_pause_that_is_too_long_to_wait_for_is_told(sandbox, row, checked, monkeypatch):
    monkeypatch.setattr(facts, "ANSWER_SECONDS", 0.3)
    sandbox.faults.add("status", status=429, retry_after=60)
    report = checked(row)
    assert failures(report) == ["clock"]
    assert "asked for a pause (HTTP 429), of which " in lines(step_of(report, "clock"))


def test_pages_of_a_firewall_are_waited_for_no_longer_than_anything_else(
    sandbox, row, checked, monkeypatch
):
    monkeypatch.setattr(facts, "ANSWER_SECONDS", 0.5)
    sandbox.faults.add("status", status=403)
    step = step_of(checked(row), "clock")
    assert "turned this address away with a web page (HTTP 403)" in lines(step)
    assert step.seconds < 2


def test_one_page_of_a_firewall_fails_no_step(sandbox, row, checked):
    page = sandbox.faults.add("status", status=403, times=1)
    assert results(checked(row)) == WELL
    assert page.hits == 1


def test_an_exchange_that_never_answers_is_not_waited_for(sandbox, row, checked, monkeypatch):
    monkeypatch.setattr(facts, "ANSWER_SECONDS", 0.3)
    sandbox.faults.add("slow", seconds=3, times=1)
    report = checked(row)
    assert failures(report) == ["clock"]
    assert "gave no answer within 0.3 s" in lines(step_of(report, "clock"))


def test_patience_keeps_apart_what_takes_long_and_what_fails():
    assert within(1, int, "7") == 7
    with pytest.raises(ValueError, match="seven"):
        within(1, int, "seven")
    with pytest.raises(NoAnswer):
        within(0.01, socket.create_server(("127.0.0.1", 0)).accept)

    def own():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        within(1, own)


def test_a_day_that_the_exchange_tells_otherwise_now_is_found(redis, sandbox, row, checked):
    assert checked(row).passed
    sandbox.faults.add("holes", endpoint="klines", open_times=[newest_day(redis, row)], times=1)
    report = checked(row)  # the cache still holds the day that REST leaves out once
    assert failures(report) == []
    sandbox.faults.add("holes", endpoint="klines", open_times=[newest_day(redis, row)])
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "the cache holds" in lines(step_of(report, "warmup"))
    assert "./run repair sandbox" in step_of(report, "warmup").remedy


def newest_day(redis, row):
    return stored(redis, row.pk, "BTC-USD", Timeframe.D1)[0][-1][0]


def test_a_market_that_stood_still_yesterday_is_found(redis, sandbox, row, checked):
    assert checked(row).passed
    newest = newest_day(redis, row)
    redis.flushall()
    sandbox.faults.add("holes", endpoint="klines", open_times=[newest])
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "yesterday was 2026-11-17" in lines(step_of(report, "warmup"))


def test_just_after_midnight_the_day_that_ended_may_still_be_on_its_way(redis, checked):
    with serve(start_ms=MIDNIGHT_MS + 60_000, speed=1, listings=DEFAULT) as sandbox:
        yesterday = MIDNIGHT_MS - Timeframe.D1.ms
        sandbox.faults.add("holes", endpoint="candles", open_times=[yesterday])
        report = checked(row_of(sandbox, "coinbase"))
    assert results(report) == WELL
    assert "the newest 2026-11-17" in step_of(report, "warmup").detail


def test_a_day_that_is_not_over_is_found(redis, sandbox, row, checked):
    today = Timeframe.D1.floor(sandbox.clock.now_ms())
    text = orjson.dumps([today, 1.0, 2.0, 1.0, 2.0, 3.0])
    redis.zadd(keys.candles(row.pk, "BTC-USD", Timeframe.D1), {text: today})
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "the newest day, 2026-11-18, is not over there" in lines(step_of(report, "warmup"))


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_days_that_rest_leaves_out_are_found(redis, sandbox, checked, name):
    row = row_of(sandbox, name)
    assert checked(row).passed
    redis.flushall()
    endpoint = "klines" if name == "sandbox" else "candles"
    missing = [MIDNIGHT_MS - days * Timeframe.D1.ms for days in (20, 40)]
    sandbox.faults.add("holes", endpoint=endpoint, open_times=missing)
    report = checked(row)
    assert failures(report) == ["warmup"]
    text = lines(step_of(report, "warmup"))
    assert "missing among the newest 100 days: 2, the last of them 2026-10-30, and REST" in text
    assert "--symbol" in text


def test_days_that_the_cache_has_lost_since_are_to_be_repaired(redis, row, checked, monkeypatch):
    assert checked(row).passed
    [hole] = redis.zrange(keys.candles(row.pk, "BTC-USD", Timeframe.D1), 50, 50)
    at = orjson.loads(hole)[0]

    def lose(*arguments):  # after it was written, before it is looked at
        redis.zrem(keys.candles(row.pk, "BTC-USD", Timeframe.D1), hole)
        coverage = [[at - 50 * Timeframe.D1.ms, at], [at + Timeframe.D1.ms, at + 2**40]]
        redis.set(keys.coverage(row.pk, "BTC-USD", Timeframe.D1), orjson.dumps(coverage))

    monkeypatch.setattr(candles, "_refuse_bad", lose)
    report = checked(row)
    assert "warmup" in failures(report)
    assert "./run repair sandbox" in step_of(report, "warmup").remedy


def test_a_newest_day_with_other_numbers_is_found(redis, row, checked, monkeypatch):
    name = keys.candles(row.pk, "BTC-USD", Timeframe.D1)

    def alter(*arguments):  # after it was written, before it is looked at
        [newest] = redis.zrange(name, -1, -1)
        values = orjson.loads(newest)
        redis.zrem(name, newest)
        redis.zadd(name, {orjson.dumps([*values[:5], values[5] + 1]): values[0]})

    monkeypatch.setattr(candles, "_refuse_bad", alter)
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "the cache holds" in lines(step_of(report, "warmup"))


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_prices_far_below_a_cent_are_told_without_an_exponent(redis, checked, monkeypatch, name):
    with serve(start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, speed=240, listings=(CHEAP,)) as sandbox:
        row = row_of(sandbox, name)
        key = keys.candles(row.pk, CHEAP.symbol, Timeframe.D1)

        def alter(*arguments):
            [newest] = redis.zrange(key, -1, -1)
            values = orjson.loads(newest)
            redis.zrem(key, newest)
            redis.zadd(key, {orjson.dumps([*values[:3], values[3] / 2, *values[4:]]): values[0]})

        monkeypatch.setattr(candles, "_refuse_bad", alter)
        step = step_of(checked(row, CHEAP.symbol), "warmup")
    assert re.search(r"REST tells \[\d+, 0\.000000[1-9]\d+,.* the cache holds", step.detail)
    assert not re.search(r"\de-", step.detail)


def test_days_that_begin_later_than_it_is_are_found(row, checked, monkeypatch):
    real = BinanceRest.get_candles

    def ahead(self, *arguments, **options):
        found = real(self, *arguments, **options)
        found.runs_ahead = True
        return found

    monkeypatch.setattr(BinanceRest, "get_candles", ahead)
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "its clock disagree" in lines(step_of(report, "warmup"))


def test_too_few_days_are_found_where_there_are_more(row, checked, monkeypatch):
    monkeypatch.setattr(candles, "MIN_CANDLE_THRESHOLD", 101)
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "100 days are cached, and REST should have more" in lines(step_of(report, "warmup"))


def test_a_market_with_a_short_history_has_all_there_is(redis, checked, impatient):
    day = Timeframe.D1.ms
    young = Listing("BTC-USD", "67012.37", lot=20_000, listed_ms=MIDNIGHT_MS - 20 * day)
    with serve(start_ms=MIDNIGHT_MS - day // 2, listings=(young,)) as sandbox:
        report = checked(row_of(sandbox, "sandbox"))
    assert results(report) == WELL
    assert "19 closed days" in step_of(report, "warmup").detail


# -- Symbols


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        ("LUNA-USD", "does not trade now"),
        ("btc-usdd", "similar are: BTC-USD"),
        ("WXYZ-QQQ", "does not list WXYZ-QQQ | choose another with --symbol"),
    ],
)
def test_a_symbol_that_is_of_no_use_fails_there(row, checked, symbol, says):
    report = checked(row, symbol)
    assert failures(report) == ["symbol"]
    assert says in lines(step_of(report, "symbol"))
    assert report.symbol == symbol.upper()
    assert results(report)["subscription"] == results(report)["warmup"] == "SKIP"


@pytest.mark.parametrize(
    ("listed", "monitored", "chosen"),
    [
        (["ETH-USD", "BTC-USDT", "BTC-USD"], ["ETH-USD"], "BTC-USD"),
        (["ETH-USD", "BTC-USDT"], ["ETH-USD"], "BTC-USDT"),
        (["ETH-USD", "SOL-USD"], ["SOL-USD"], "SOL-USD"),
    ],
)
def test_the_symbol_is_btc_or_one_that_is_kept_warm(checked, redis, listed, monitored, chosen):
    with serve(start_ms=MIDNIGHT_MS - Timeframe.D1.ms // 2, listings=those(listed)) as sandbox:
        row = row_of(sandbox, "sandbox")
        row.symbols.update(is_monitored=False)
        row.symbols.filter(symbol__in=monitored).update(is_monitored=True)
        report = checked(row)
    assert report.symbol == chosen
    assert results(report) == WELL


def test_where_there_is_nothing_to_choose_it_asks_for_a_name(checked, redis):
    with serve(listings=those(["ETH-USD"])) as sandbox:
        row = row_of(sandbox, "sandbox")
        row.symbols.update(is_monitored=False)
        report = checked(row)
    assert failures(report) == ["symbol"]
    assert "--symbol" in step_of(report, "symbol").remedy


def test_a_symbol_that_the_database_does_not_know_yet_is_tried_all_the_same(row, checked):
    row.symbols.filter(symbol="SOL-USD").delete()
    report = checked(row, "SOL-USD")
    assert results(report) == WELL
    assert step_of(report, "symbol").remedy.endswith("`./run symbols sandbox --sync`")


# -- WebSocket


def test_what_is_told_of_before_is_no_live_candle():
    heard = subscription.Heard("BTC-USD", {Timeframe.M1})
    minute = Timeframe.M1.ms
    heard.take(Clock(MIDNIGHT_MS))
    for age in (-1, 2, 3):  # what is to come, and what ended more than a bar ago
        heard.take(update(MIDNIGHT_MS - age * minute))
    assert not heard.candles
    for age in (0, 1):
        heard.take(update(MIDNIGHT_MS - age * minute))
    heard.take(update(MIDNIGHT_MS, "ETH-USD"))
    assert heard.candles == {Timeframe.M1: 2}
    assert not heard.complete


def update(opened, symbol="BTC-USD"):
    return CandleUpdate(symbol, Candle(opened, 1.0, 2.0, 1.0, 2.0, 3.0, Timeframe.M1), False)


def test_frames_of_long_ago_are_no_live_ones():
    heard = subscription.Heard("BTC-USD", {Timeframe.M1}, ahead_ms=0)
    listener = subscription.Listener(None, heard)
    day_ago = int(time.time() * 1000) - Timeframe.D1.ms
    heard.take(Clock(day_ago))
    heard.take(update(Timeframe.M1.floor(day_ago)))
    heard.take(TICKER)
    assert heard.complete  # by its own clock
    with pytest.raises(Failed, match="youngest frame was 86400 s old"):
        listener.refuse_stale()
    heard.take(Clock(int(time.time() * 1000)))
    listener.refuse_stale()


def test_frames_of_another_day_are_told_by_the_clock_of_rest(redis, in_another_day, checked):
    report = checked(in_another_day)
    assert failures(report) == ["subscription"]
    text = lines(step_of(report, "subscription"))
    assert re.search(r"youngest frame was 1\d{5} s ahead by", text)


@pytest.fixture
def in_another_day(sandbox, db, redis, impatient, monkeypatch):
    """Return a row whose stream is of an exchange two days ahead."""
    monkeypatch.setattr(subscription, "LONGEST_LAG_MS", 86_400_000)
    with serve(start_ms=MIDNIGHT_MS + 3 * HALF_A_DAY_MS, listings=DEFAULT, speed=240) as other:
        yield move(row_of(sandbox, "sandbox"), ws_url=other.ws_url)


@pytest.mark.parametrize(("name", "lacking"), [("sandbox", "4h"), ("coinbase", "5m")])
def test_candles_of_every_timeframe_that_is_streamed_have_to_come(
    sandbox, checked, monkeypatch, name, lacking
):
    monkeypatch.setattr(subscription, "PATIENCE_SECONDS", 1.5)
    row = row_of(sandbox, name)
    sandbox.scenarios.add("silent_symbol", symbol="BTC-USD", timeframe=lacking)
    report = checked(row)
    assert failures(report) == ["subscription"]
    assert f"and none of {lacking}; tickers: " in lines(step_of(report, "subscription"))


def test_frames_that_were_lost_are_noted(sandbox, coinbase, checked):
    sandbox.scenarios.add("loss", symbol="BTC-USD", chance=0.5)
    report = checked(coinbase, seconds=1.5)
    assert report.passed
    assert " were lost" in step_of(report, "subscription").detail
    assert "frames were lost on the way" in step_of(report, "subscription").remedy


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
@pytest.mark.parametrize(
    ("drill", "says"),
    [
        ({"kind": "silence"}, "not even an answer"),
        ({"kind": "refuse"}, "Handshake status 503 Service Unavailable |"),
        ({"kind": "ack_without_data"}, "not all came that was asked for"),
        ({"kind": "malformed", "chance": 1, "way": "types"}, "could not be read"),
        ({"kind": "drop", "every": 0.3}, "the connection ended: "),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_stream_that_is_out_of_order_fails_there_alone(
    sandbox, checked, monkeypatch, name, drill, says
):
    if drill["kind"] == "ack_without_data":
        monkeypatch.setattr(subscription, "PATIENCE_SECONDS", 0.3)
    if drill["kind"] == "silence":
        monkeypatch.setattr(subscription, "ACK_SECONDS", 0.3)
    row = row_of(sandbox, name)

    def begin(step):
        if step.name == "warmup":
            sandbox.scenarios.add(**drill)

    seconds = 1.0 if drill["kind"] in ("drop", "malformed") else 0.1
    report = checked(row, seconds=seconds, on_step=begin)
    assert failures(report) == ["subscription"]
    assert says in lines(step_of(report, "subscription"))
    assert results(report)["keys"] == "SKIP"
    wait_until(lambda: not sandbox.streams[row.venue].open)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ws://127.0.0.1:{port}/nowhere", "Handshake status 404 Not Found"),
        (f"ws://127.0.0.1:{PORT_OF_NOBODY}", "cannot connect: [Errno 111] Connection refused"),
    ],
)
def test_a_wrong_address_of_the_stream_is_told(sandbox, row, checked, address, says):
    port = sandbox.url.rpartition(":")[2]
    report = checked(move(row, ws_url=address.format(port=port)))
    assert failures(report) == ["subscription"]
    assert says in lines(step_of(report, "subscription"))
    assert "WebSocket address" in step_of(report, "subscription").remedy


@pytest.mark.parametrize(
    ("name", "limit", "says"),
    [
        ("sandbox", {"ws_streams": 3}, "code 4: Too many subscriptions"),
        ("coinbase", {"coinbase_messages_per_second": 1}, "rate limit exceeded"),
    ],
)
def test_a_subscription_that_is_refused_is_told(redis, checked, name, limit, says):
    with serve(**limit) as sandbox:
        report = checked(row_of(sandbox, name))
    assert failures(report) == ["subscription"]
    assert f"refused the subscription: {says}" in lines(step_of(report, "subscription"))


def test_a_product_that_shows_anothers_book_is_heard_under_its_own_name(coinbase, checked):
    report = checked(coinbase, "BTC-USDC")
    assert report.passed
    assert report.symbol == "BTC-USDC"


@pytest.mark.parametrize("way", ["silent", "left_out"])
def test_a_subscription_that_is_never_confirmed_is_told(sandbox, coinbase, checked, way):
    sandbox.scenarios.add("refuse_subscription", way=way, symbol="BTC-USD", timeframe="5m")
    report = checked(coinbase)
    assert failures(report) == ["subscription"]
    text = lines(step_of(report, "subscription"))
    assert "the exchange did not confirm candles:BTC-USD" in text
    assert "market_trades" not in text


def test_a_symbol_that_is_quiet_for_a_while_is_waited_for(sandbox, row, checked):
    quiet = []

    def hush(step):
        if step.name == "warmup":
            quiet.append(sandbox.scenarios.add("silent_symbol", symbol="BTC-USD", seconds=1))

    assert checked(row, on_step=hush).passed
    assert quiet[0].hits


# -- Accounts


def add_account(row, **names):
    user, _ = get_user_model().objects.get_or_create(username="trader")
    names = {f"api_{what}_env": name for what, name in names.items()}
    return UserExchange.objects.create(user=user, exchange=row, display_name="main", **names)


def test_a_variable_that_is_missing_is_named(row, checked, monkeypatch):
    add_account(row, key="BINANCE_KEY", secret="BINANCE_SECRET")
    monkeypatch.setenv("BINANCE_KEY", "geheim")
    report = checked(row)
    assert results(report) == WELL | {"environment": "FAIL"}
    text = lines(step_of(report, "environment"))
    assert "account main: BINANCE_SECRET is not set" in text
    assert "BINANCE_KEY" not in text
    assert "geheim" not in str(report.as_json())


@pytest.mark.parametrize(
    ("value", "says"),
    [("", "is not set"), (" \n", "is empty"), ("geheim\n", "begins or ends with a blank")],
)
def test_a_variable_that_holds_no_key_is_told(row, checked, monkeypatch, value, says):
    add_account(row, key="BINANCE_KEY")
    monkeypatch.setenv("BINANCE_KEY", value)
    report = checked(row)
    assert failures(report) == ["environment"]
    assert f"account main: BINANCE_KEY {says}" in lines(step_of(report, "environment"))
    assert "geheim" not in str(report.as_json())


ID = "8f1ac569-ed29-48ae-b989-6798a975afab"
SEED = base64.b64encode(b"geheim" + 26 * b"s").decode()


def choose(row, account):
    Exchange.objects.filter(pk=row.pk).update(account=account)


@pytest.fixture
def chosen(coinbase, monkeypatch):
    """Return Coinbase's row, with an account that is chosen and whose variables are good."""
    monkeypatch.setattr(key, "_STANDINGS", {})
    choose(coinbase, add_account(coinbase, key="COINBASE_KEY", secret="COINBASE_SECRET"))
    monkeypatch.setenv("COINBASE_KEY", ID)
    monkeypatch.setenv("COINBASE_SECRET", SEED)
    return coinbase


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("COINBASE_SECRET", "streng geheim", "neither a PEM private key"),
        ("COINBASE_KEY", "organizations/geheim", "holds no name of a Coinbase key"),
        ("COINBASE_KEY", f"{ID}geheim", "holds no name of a Coinbase key"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_it(
    chosen, checked, monkeypatch, variable, value, says
):
    monkeypatch.setenv(variable, value)
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "FAIL"}
    text = lines(step_of(report, "environment"))
    assert variable in text
    assert says in text
    assert "geheim" not in str(report.as_json())


def test_a_key_that_the_exchange_refuses_is_noted_and_candles_come(sandbox, chosen, checked):
    sandbox.faults.add("refused_key")
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "PASS"}
    note = step_of(report, "symbol").remedy
    assert "does not take the key in COINBASE_KEY and COINBASE_SECRET" in note
    assert SEED not in str(report.as_json())


def test_the_key_that_is_used_is_named_by_its_variable(chosen, checked):
    step = step_of(checked(chosen), "environment")
    assert step.detail == (
        "set: COINBASE_KEY, COINBASE_SECRET; it signs with the key in COINBASE_KEY"
    )
    assert step.remedy is None


def test_accounts_with_keys_of_which_none_is_chosen_are_told_in_a_line(chosen, checked):
    choose(chosen, None)
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "PASS"}
    step = step_of(report, "environment")
    assert step.detail == "set: COINBASE_KEY, COINBASE_SECRET"
    assert step.remedy == (
        "1 active account names a key and none is chosen, so none is used: choose the account in "
        "the row, in the admin, or leave it, as public candles need none"
    )


@pytest.mark.parametrize("how", ["inactive", "elsewhere", "a secret"])
def test_a_chosen_account_that_may_not_be_used_costs_no_candle_and_is_told(
    chosen, row, checked, how
):
    account = UserExchange.objects.get()
    if how == "inactive":
        UserExchange.objects.update(is_active=False)
    elif how == "elsewhere":
        UserExchange.objects.update(exchange=row)
    else:
        user = get_user_model().objects.create(username="other")
        UserExchange.objects.create(user=user, exchange=row, passphrase_env=account.api_key_env)
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "FAIL"}
    says = {
        "inactive": "main is inactive",
        "elsewhere": "main is an account at another exchange",
        "a secret": "holds a secret of an account",
    }
    assert says[how] in lines(step_of(report, "environment"))


def test_who_looks_is_not_told_what_the_chosen_account_of_another_names(
    chosen, redis, impatient, monkeypatch
):
    monkeypatch.setenv("COINBASE_KEY", "geheim")
    ada = get_user_model().objects.create_user("ada")
    report = ExchangeCheck(redis, chosen, seconds=0.1, user=ada).run()
    assert failures(report) == ["environment"]
    text = lines(step_of(report, "environment"))
    assert "the account chosen for it, of somebody else, gives no key" in text
    assert not re.search("main|COINBASE|geheim", text)


def test_variables_that_are_set_are_named_and_nothing_else(sandbox, row, checked, monkeypatch):
    retired = add_account(row, key="BINANCE_OLD")
    UserExchange.objects.filter(pk=retired.pk).update(is_active=False, display_name="old")
    add_account(row, key="BINANCE_KEY")
    monkeypatch.setenv("BINANCE_KEY", "geheim")
    report = checked(row)
    assert results(report) == WELL | {"environment": "PASS"}
    assert step_of(report, "environment").detail == "set: BINANCE_KEY"
    assert "geheim" not in str(report.as_json())


def test_a_person_is_told_of_accounts_of_others_without_their_names(row, redis, impatient):
    add_account(row, key="BINANCE_THEIRS")
    ada = get_user_model().objects.create_user("ada")
    report = ExchangeCheck(redis, row, seconds=0.1, user=ada).run()
    assert results(report) == WELL
    text = step_of(report, "environment").detail
    assert "1 account of others: 1 variable is not set" in text
    assert not re.search("main|BINANCE", text)
    mine = UserExchange.objects.create(user=ada, exchange=row, display_name="mine")
    UserExchange.objects.filter(pk=mine.pk).update(api_key_env="BINANCE_MINE")
    report = ExchangeCheck(redis, row, seconds=0.1, user=ada).run()
    assert failures(report) == ["environment"]
    assert "account mine: BINANCE_MINE is not set; 1 account of" in lines(
        step_of(report, "environment")
    )


def test_what_stands_where_a_name_should_is_not_repeated(row, checked):
    add_account(row, key="sk-live-geheim")
    report = checked(row)
    assert "its key variable has no name" in lines(step_of(report, "environment"))
    assert "geheim" not in str(report.as_json())


# -- Names and encryption


def answering(monkeypatch, name, *addresses):
    """Let a name server answer for `name`."""
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host != name:
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_name_without_an_address_stops_what_needs_it(row, checked):
    report = checked(move(row, rest_url="https://api.exchange.invalid"))
    assert failures(report) == ["dns"]
    assert "api.exchange.invalid has no address" in lines(step_of(report, "dns"))
    assert results(report)["clock"] == "SKIP"
    assert results(report)["subscription"] == "PASS"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "10.1.2.3", "64:ff9b::a00:1"])
def test_a_name_that_leads_inside_is_refused(row, checked, monkeypatch, address):
    answering(monkeypatch, "api.example.com", "93.184.215.14", address)
    row = move(row, rest_url="https://api.example.com", ws_url="wss://api.example.com")
    report = checked(row)
    assert failures(report) == ["dns"]
    assert f"api.example.com is not called: {address} is a private" in lines(step_of(report, "dns"))
    assert results(report)["subscription"] == results(report)["clock"] == "SKIP"


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_fake_addresses_are_told_in_one_message_with_the_line_to_set(
    sandbox, checked, monkeypatch, name
):
    hosts = ["api.exchange.example", "stream.exchange.example"]
    for number, host in enumerate(hosts):
        lead(monkeypatch, host, f"198.18.0.{number}")
    row = move(row_of(sandbox, name), rest_url=f"https://{hosts[0]}", ws_url=f"wss://{hosts[1]}")
    report = checked(row)
    assert failures(report) == ["dns"]
    step = step_of(report, "dns")
    assert step.detail.startswith(f"{' and '.join(hosts)} are not called: they lead into 198.18")
    assert step.remedy.startswith(
        f"Set LIVERMORE_PRIVATE_EXCHANGE_HOSTS=127.0.0.1,{','.join(hosts)} "
    )
    assert lines(step).count("198.18") == lines(step).count("LIVERMORE_") == 1
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"


def test_a_private_name_that_is_listed_may_lead_inside(
    sandbox, row, checked, monkeypatch, settings
):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["Sandbox.lan"]
    answering(monkeypatch, "sandbox.lan", "127.0.0.1")
    port = sandbox.url.rpartition(":")[2]
    row = move(row, rest_url=f"http://sandbox.lan:{port}", ws_url=f"ws://sandbox.lan:{port}")
    report = checked(row)
    assert results(report) == WELL
    assert step_of(report, "dns").detail == "sandbox.lan is 127.0.0.1"


@pytest.fixture
def lan(monkeypatch, settings):
    """Move a row's hosts to a name that leads to these addresses."""

    def lan(row, *addresses):
        settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["sandbox.lan"]
        lead(monkeypatch, "sandbox.lan", addresses)
        there = [url.replace("127.0.0.1", "sandbox.lan") for url in (row.rest_url, row.ws_url)]
        return move(row, rest_url=there[0], ws_url=there[1])

    return lan


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_dead_family_is_named_and_costs_next_to_nothing(checked, lan, name):
    with serve(
        start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, speed=240, listings=DEFAULT, dead_ipv6=True
    ) as sandbox:
        report = checked(lan(row_of(sandbox, name), "::1", "127.0.0.1"))
    step = step_of(report, "dns")
    assert results(report) == WELL
    says = "sandbox.lan is ::1, 127.0.0.1, IPv4 won, IPv6 is dead (timed out)"
    assert step.detail == says
    assert "IPv6 leads nowhere from here" in step.remedy
    assert all(other.seconds < 1 for other in report.steps if other.name in ("clock", "symbol"))


def test_a_family_that_refuses_is_named_too(row, checked, lan):
    step = step_of(checked(lan(row, "127.0.0.1", "::1")), "dns")
    assert "IPv4 won, IPv6 is dead (Connection refused)" in step.detail


def test_two_families_that_answer_need_no_note(sandbox, row, checked, lan):
    port = int(sandbox.url.rpartition(":")[2])
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        step = step_of(checked(lan(row, "127.0.0.1", "::1")), "dns")
    assert step.detail == "sandbox.lan is 127.0.0.1, ::1, IPv4 won, the other answers too"
    assert step.remedy is None


@pytest.fixture(scope="module")
def front(shared, tmp_path_factory):
    with TlsFront(shared.url, tmp_path_factory.mktemp("tls")) as front:
        yield front


@pytest.fixture
def encrypted(row, front):
    return move(row, rest_url=front.rest_url, ws_url=front.ws_url)


@pytest.fixture
def trusted(front, settings):
    settings.LIVERMORE_CA_FILE = front.certificate


def test_all_is_well_through_encryption(encrypted, trusted, checked):
    report = checked(encrypted)
    assert results(report) == WELL | {"tls": "PASS"}, report.as_json()


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_ca_of_ones_own_is_believed_where_it_is_named(checked, settings, tmp_path, name):
    settings.LIVERMORE_CA_FILE = ca = str(tmp_path / "ca.pem")
    with serve(
        start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, speed=240, listings=DEFAULT, tls_ca=ca
    ) as sandbox:
        row = row_of(sandbox, name)
        report = checked(row)
        assert results(report) == WELL | {"tls": "PASS"}, report.as_json()
        assert f"believed: LIVERMORE_CA_FILE ({ca})" in step_of(report, "tls").detail
        settings.LIVERMORE_CA_FILE = ""
        assert "goes into LIVERMORE_CA_FILE" in lines(step_of(checked(row), "tls"))


def test_a_file_of_certificates_that_is_none_is_told_once(encrypted, checked, settings):
    settings.LIVERMORE_CA_FILE = "/nonexistent.pem"
    report = checked(encrypted)
    assert failures(report) == ["tls"]
    text = lines(step_of(report, "tls"))
    assert text.startswith("LIVERMORE_CA_FILE names /nonexistent.pem, which can't be read")
    assert text.count("/nonexistent.pem") == 1
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"


def test_a_certificate_that_nobody_vouches_for_stops_both(encrypted, checked):
    report = checked(encrypted)
    assert failures(report) == ["tls"]
    text = lines(step_of(report, "tls"))
    assert text.count("certificate verify failed") == 2
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"


def test_a_plain_server_behind_an_encrypted_address_is_told(sandbox, row, checked):
    row = move(row, ws_url=sandbox.ws_url.replace("ws:", "wss:"))
    report = checked(row)
    assert failures(report) == ["tls"]
    assert "WebSocket: cannot connect" in lines(step_of(report, "tls"))
    assert results(report)["warmup"] == "PASS"


def test_encryption_is_not_blamed_for_what_is_said_through_it(encrypted, trusted, checked, sandbox):
    sandbox.faults.add("status", status=451)
    sandbox.scenarios.add("refuse")
    report = checked(encrypted)
    assert failures(report) == ["clock", "subscription"]
    assert results(report)["tls"] == "PASS"


def test_who_bans_us_while_encryption_is_tried_gets_no_websocket(
    encrypted, trusted, checked, sandbox
):
    sandbox.faults.add("status", status=418, retry_after=60)
    assert failures(checked(encrypted)) == ["clock"]
    assert sandbox.streams["binance"].connects == 0


def test_where_nothing_answers_encryption_is_not_praised(row, checked):
    address = f"https://127.0.0.1:{PORT_OF_NOBODY}"
    report = checked(move(row, rest_url=address))
    assert failures(report) == ["tls"]
    assert "Connection refused" in lines(step_of(report, "tls"))


# -- Proxies

BY_PROXY = "LIVERMORE_PROXY_OF_THE_SANDBOX"


@pytest.fixture
def proxied(settings, tmp_path):
    """Serve a sandbox that has a proxy; return its row of a name, and it."""
    served = []

    def proxied(name, scheme="http", **options):
        if scheme == "https":
            settings.LIVERMORE_CA_FILE = options["tls_ca"] = str(tmp_path / "ca.pem")
        usual = {"start_ms": MIDNIGHT_MS - HALF_A_DAY_MS, "speed": 240, "listings": DEFAULT}
        served.append(serve(**usual, proxy_port=0, **options).start())
        proxy = f"{scheme}://127.0.0.1:{served[-1].proxy_port}"
        return move(row_of(served[-1], name), proxy=proxy), served[-1]

    yield proxied
    for each in served:
        each.stop()


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_all_is_well_through_a_proxy(redis, checked, proxied, name, scheme):
    row, sandbox = proxied(name, scheme)
    report = checked(row)
    assert results(report) == WELL | ({"tls": "PASS"} if scheme == "https" else {})
    assert f", by the proxy {row.proxy}" in step_of(report, "row").detail
    place = sandbox.url.rpartition("/")[2]
    way = f"{place} by the proxy {row.proxy}, which finds the address itself"
    assert step_of(report, "dns").detail == way


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxys_password_is_used_and_not_shown(checked, proxied, scheme, monkeypatch):
    row, sandbox = proxied("sandbox", scheme, proxy_login="ada:S3cret/@")
    step = step_of(checked(row), "dns")
    assert f"the proxy {row.proxy} wants a user name and password" in lines(step)
    monkeypatch.setenv(BY_PROXY, row.proxy.replace("://", "://ada:S3cret%2F%40@"))
    report = checked(move(row, proxy=BY_PROXY))
    assert results(report) == WELL
    shown = f"by the proxy {scheme}://127.0.0.1:{sandbox.proxy_port}, as {BY_PROXY} says"
    assert shown in step_of(report, "row").detail
    assert "S3cret" not in str(report.as_json())


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize(
    ("kind", "says"), [("proxy_refuse", "does not lead to"), ("proxy_silence", "gave no answer")]
)
def test_a_proxy_that_does_not_lead_there_fails_where_it_is_asked(
    checked, proxied, monkeypatch, scheme, kind, says
):
    monkeypatch.setattr(names, "PROXY_SECONDS", 0.5)
    row, sandbox = proxied("sandbox", scheme)
    sandbox.scenarios.add(kind, status=403)
    report = checked(row)
    assert failures(report) == ["dns"]
    assert f"the proxy {row.proxy} {says}" in lines(step_of(report, "dns"))
    assert results(report)["clock"] == results(report)["subscription"] == "SKIP"
    assert sandbox.requests.counts["binance.time"] == sandbox.streams["binance"].connects == 0


def test_a_proxy_that_leads_to_one_host_alone_leaves_the_other_to_be_tried(redis, checked, sandbox):
    port = int(sandbox.url.rpartition(":")[2])
    with Proxy("http", leads={"127.0.0.1": "127.0.0.1"}) as proxy:
        row = move(row_of(sandbox, "sandbox"), ws_url=f"ws://127.0.0.1:{port - 1}", proxy=proxy.url)
        report = checked(row)
    assert failures(report) == ["dns"]
    assert f"does not lead to 127.0.0.1:{port - 1} (HTTP" in lines(step_of(report, "dns"))
    assert (results(report)["warmup"], results(report)["subscription"]) == ("PASS", "SKIP")


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        (BY_PROXY, f"is in the variable {BY_PROXY}, which is not set | set it for this process"),
        ("http://ada:S3cret@127.0.0.1:1", "must not hold a user name or password"),
        ("socks5://127.0.0.1:1", "Write socks5h://"),
        ("127.0.0.1:1", "This is no proxy"),
        ("http://169.254.169.254:80", "no address that a proxy can have"),
    ],
)
def test_a_proxy_that_cannot_be_used_stops_all(row, checked, sandbox, proxy, says):
    report = checked(move(row, proxy=proxy))
    assert failures(report) == ["row"]
    assert says in lines(step_of(report, "row"))
    assert "S3cret" not in str(report.as_json())
    assert sandbox.requests.counts["binance.time"] == 0


def test_a_variable_that_holds_no_proxy_stops_all_without_being_shown(row, checked, monkeypatch):
    monkeypatch.setenv(BY_PROXY, "http://ada:S3cret@nowhere")
    report = checked(move(row, proxy=BY_PROXY))
    assert failures(report) == ["row"]
    assert BY_PROXY in lines(step_of(report, "row"))
    assert "S3cret" not in str(report.as_json())


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_is_noted_and_not_used(row, checked, monkeypatch, name):
    monkeypatch.setenv(name, "http://ada:S3cret@127.0.0.1:9")
    report = checked(row)
    assert results(report) == WELL
    note = step_of(report, "row").remedy
    assert note == f"{name} set, and not used: a proxy that is meant goes into the row"
    monkeypatch.setenv(BY_PROXY, "http://127.0.0.1:9")
    assert step_of(checked(move(row, proxy=BY_PROXY)), "row").remedy is None


def test_within_a_ban_the_proxy_is_asked_for_nothing(redis, checked, proxied):
    row, sandbox = proxied("sandbox", "socks5h")
    sandbox.scenarios.add("proxy_refuse")
    BatchPacer(redis, host_of(row.rest_url), 5, 0).ban(60)
    assert failures(checked(row)) == ["clock"]


# -- Limits


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("sandbox", {"pacing": "batch", "batch_delay_ms": 0}, "may use inf"),
        ("sandbox", {"pacing": "batch", "batch_size": 50, "batch_delay_ms": 1000}, "may use 6000"),
        ("coinbase", {"batch_size": 11, "batch_delay_ms": 1000}, "batches make 11 at most"),
    ],
)
def test_a_row_that_may_be_faster_than_allowed_fails(sandbox, checked, name, values, says):
    report = checked(move(row_of(sandbox, name), **values))
    assert failures(report) == ["limits"]
    assert says in lines(step_of(report, "limits"))
    assert name in step_of(report, "limits").remedy


def test_batches_that_keep_the_weight_but_not_the_requests_fail(row, checked, monkeypatch):
    published = Limits(weight_per_minute=6000, requests_per_5_minutes=1800)
    monkeypatch.setattr(limits, "read_limits", lambda body: published)
    report = checked(move(row, pacing="batch", batch_size=5, batch_delay_ms=1000))
    assert failures(report) == ["limits"]
    assert "may use 600 and 1500" in lines(step_of(report, "limits"))


def test_limits_that_make_no_sense_are_replaced_by_cautious_ones(sandbox, row, checked):
    sandbox.faults.add("limits", way="zero")
    report = checked(row)
    assert results(report) == WELL
    step = step_of(report, "limits")
    assert "makes sense is published; assumed: 1200 weight in a minute, 5000" in step.detail
    assert "stays below 960" in step.detail
    report = checked(move(row, pacing="batch", batch_size=10, batch_delay_ms=1000))
    assert failures(report) == ["limits"]


def test_limits_are_told_as_they_are_published(sandbox, row, checked):
    step = step_of(checked(row), "limits")
    assert "published: 6000 weight in a minute, 300000 requests in five" in step.detail
    assert "stays below 4800" in step.detail
    move(row, pacing=Exchange.Pacing.BATCH, batch_delay_ms=1000)
    step = step_of(checked(row), "limits")
    assert step.detail.endswith("use 600 at most (its preset has pacing weight)")
