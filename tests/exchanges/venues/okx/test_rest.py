import json

import orjson
import pytest

from exchanges.errors import BadPayload, Blocked, RateLimited, UnknownSymbol, Unreachable
from exchanges.rest.base import LOOKS, Known
from exchanges.venues import VENUES
from exchanges.venues.okx.rest import read_error
from livermore.market.candle import Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.venues.conftest import NOW_MS, values
from tests.exchanges.venues.minutes import AGO_MS, minutes, span, told_newest_first
from tests.exchanges.venues.okx.payloads import recorded


def time_at(time_ms):
    return 200, {}, b'{"code":"0","msg":"","data":[{"ts":"%d"}]}' % time_ms


def rows_at(*numbers, confirm="1"):
    """Return an answer with a row for each minute from AGO_MS on, newest first."""
    rows = told_newest_first(numbers, "10", confirm)
    return 200, {}, orjson.dumps({"code": "0", "msg": "", "data": rows})


@pytest.fixture
def on_wire(row, adapters, wire):
    """Return a REST side whose exchange tells its time first, then what it is told to."""

    def on_wire(*replies, now_ms=NOW_MS):
        exchange = row("okx", wire)
        exchange.symbols.create(symbol="A-B", native_symbol="A-B")
        exchange.symbols.create(symbol="A-B-PERP", native_symbol="A-B-SWAP", kind="perpetual")
        wire.answer(time_at(now_ms), *replies)
        return adapters(exchange)

    return on_wire


@pytest.fixture
def okx(row, adapters, sandbox):
    return adapters(row("okx", sandbox))


# Rows


def test_a_spot_row_has_its_volume_in_the_base_first(on_wire, wire):
    rest = on_wire((200, {}, recorded("history_candles_spot")), now_ms=1790162123456)
    got = rest.get_candles("A-B", "1m", 1790161980000, 1790162100000, with_open=True)
    assert list(got) == [
        Candle(1790161980000, 85709.1, 85709.1, 85709.1, 85709.1, 0.0, Timeframe.M1),
        Candle(1790162040000, 85709.1, 85720.0, 85705.3, 85717.9, 0.25, Timeframe.M1),
    ]
    assert got.open_candle.volume == 1.5784361
    assert "instId=A-B&bar=1m&after=1790162220000&before=1790161979999&limit=300" in wire.seen[1][0]


def test_a_swaps_row_has_contracts_first_and_the_base_behind(on_wire, wire):
    rest = on_wire((200, {}, recorded("history_candles_swap")), now_ms=1790162123456)
    got = rest.get_candles("A-B-PERP", "5m", limit=1)
    assert [candle.volume for candle in got] == [271.6455]
    assert got.open_candle.volume == 36.7649
    assert "instId=A-B-SWAP&bar=5m&limit=3" in wire.seen[1][0]


def test_days_are_those_of_utc(okx, sandbox):
    got = okx.get_candles("BTC-USDT", "1d", limit=2)
    day_ms = Timeframe.D1.floor(NOW_MS)
    assert [candle.timestamp for candle in got] == [day_ms - 2 * 86_400_000, day_ms - 86_400_000]


@pytest.mark.parametrize(("column", "told"), [(5, "-1"), (6, "-1"), (5, "x"), (6, None), (8, None)])
def test_a_row_of_a_swap_that_is_none_costs_its_own_bar(on_wire, column, told):
    body = orjson.loads(rows_at(0, 1, 2)[2])
    if column == 8:
        del body["data"][1][8]
    else:
        body["data"][1][column] = told
    rest = on_wire((200, {}, orjson.dumps(body)))
    got = rest.get_candles("A-B-PERP", "1m", *span(0, 3))
    assert minutes(got) == [0, 2]
    assert got.covered == (span(0, 1), span(2, 3))


def test_a_bar_that_ended_but_is_told_to_be_open_is_not_taken_for_final(on_wire):
    """Its server is behind: the bar is told again, closed, or a minute later as it then is."""
    start_ms, end_ms = span(598, 600)
    for passed_ms, taken in ((5_000, [598]), (61_000, [598, 599])):
        unfinished = orjson.loads(rows_at(598, 599)[2])
        unfinished["data"][0][8] = "0"
        reply = 200, {}, orjson.dumps(unfinished)
        got = on_wire(*[reply] * LOOKS, now_ms=end_ms + passed_ms).get_candles(
            "A-B", "1m", start_ms, end_ms, known=Known(before_ms=start_ms - MINUTE_MS)
        )
        assert minutes([*got, *([got.young] if got.young else [])]) == taken
        assert (got.covered[-1:] == ((start_ms, end_ms),)) is (len(taken) == 2 and not got.young)


# Pages


def test_a_page_that_was_cut_short_is_gone_on_with_below(on_wire, wire):
    """The exchange gave 100 rows at most once, and sends as many as it likes without an error."""
    rest = on_wire(rows_at(*range(200, 300)), rows_at(*range(101, 201)), rows_at(*range(0, 102)))
    got = rest.get_candles("A-B", "1m", *span(0, 300))
    assert minutes(got) == list(range(300))
    assert got.covered == (span(0, 300),)
    ends = [AGO_MS + 300 * MINUTE_MS, *(span(n, 0)[0] + 1 for n in (200, 101))]
    asked = [seen[0] for seen in wire.seen[1:]]
    assert [f"after={end}&" in one for end, one in zip(ends, asked, strict=True)] == 3 * [True]


def test_what_is_before_the_first_row_is_known_once_that_comes_again_alone(on_wire):
    for below, covered in (
        (rows_at(50), (span(0, 300),)),  # the history begins there
        (rows_at(), (span(50, 300),)),  # it is not there any more: nothing is proven
    ):
        rest = on_wire(rows_at(*range(50, 300)), *[below] * LOOKS)
        got = rest.get_candles("A-B", "1m", *span(0, 300), known=Known(after_ms=span(299, 0)[0]))
        assert minutes(got) == list(range(50, 300))
        assert got.covered == covered


def test_the_first_rows_prove_no_beginning_where_more_than_the_known_one_came(on_wire):
    rest = on_wire(
        rows_at(*range(590, 601)),  # of a hundred: something was left out
        rows_at(590),
        rows_at(*range(291, 591)),  # now it is told, up to what an answer holds
    )
    got = rest.get_candles("A-B", "1m", end_ms=span(600, 0)[0], limit=100)
    assert minutes(got) == list(range(500, 600))
    assert got.covered == (span(500, 600),)


def test_history_begins_where_its_first_row_comes_again_alone(on_wire):
    rest = on_wire(rows_at(*range(590, 601)), rows_at(590), rows_at(590))
    got = rest.get_candles("A-B", "1m", end_ms=span(600, 0)[0], limit=100)
    assert got.covered == (span(-400, 600),)


# Errors


def test_an_unknown_instrument_is_told_with_http_200(okx, row, adapters, sandbox):
    exchange = row("okx", sandbox)
    exchange.symbols.create(symbol="GONE-USDT-PERP", native_symbol="GONE-USDT-SWAP")
    with pytest.raises(UnknownSymbol, match="51001"):
        adapters(exchange).get_candles("GONE-USDT-PERP", "1m", limit=1)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (200, "unknown_instrument", UnknownSymbol),
        (400, "unknown_instrument", UnknownSymbol),
        (200, "too_many_requests", RateLimited),
        (429, "too_many_requests", RateLimited),
        (200, "upgrading", Unreachable),
        (503, "upgrading", Unreachable),
        (200, "bad_parameter", BadPayload),
    ],
)
def test_a_code_means_the_same_whatever_the_status(status, name, kind):
    error = read_error(status, json.loads(recorded(name)))
    assert type(error) is kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [(50011, RateLimited), (51001, UnknownSymbol), (7, BadPayload), (None, BadPayload)],
)
def test_a_code_that_is_no_text_is_no_good_answer(code, kind):
    assert type(read_error(200, {"code": code, "msg": "", "data": []})) is kind


def test_a_good_code_is_good_as_a_number_too():
    assert read_error(200, {"code": 0, "data": []}) is None


def test_other_codes_are_left_to_the_general_rules_where_the_status_says_it():
    assert read_error(400, json.loads(recorded("bad_parameter"))) is None
    assert read_error(200, json.loads(recorded("time"))) is None
    assert read_error(200, []) is None
    assert read_error(503, None) is None


def test_a_bad_parameter_is_no_empty_answer(on_wire, wire):
    rest = on_wire((400, {}, recorded("bad_parameter")))
    with pytest.raises(BadPayload, match="Parameter bar error"):
        rest.get_candles("A-B", "1m", limit=1)
    assert len(wire.seen) == 2


def test_too_many_requests_are_waited_out_whatever_the_status(on_wire, wire, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.05)
    too_many = recorded("too_many_requests")
    rest = on_wire((429, {}, too_many), (200, {}, too_many), rows_at(0, 1))
    assert minutes(rest.get_candles("A-B", "1m", *span(0, 2))) == [0, 1]


@pytest.mark.parametrize("body", [b'{"code":"0","msg":""}', b"[]", b"7", b'{"code":"0","data":{}}'])
def test_what_is_no_answer_of_its_own_is_told(on_wire, body):
    with pytest.raises(BadPayload, match="not in OKX's form"):
        on_wire((200, {}, body)).get_candles("A-B", "1m", limit=1)


def test_who_is_blocked_is_told_of_the_other_regions_hosts(okx, sandbox):
    sandbox.faults.add("status", status=451)
    with pytest.raises(Blocked, match=r"eea\.okx\.com"):
        okx.get_candles("BTC-USDT", "1m", limit=1)


def test_a_time_that_is_none_is_told(on_wire, wire):
    rest = on_wire()
    assert rest.server_time_ms() == NOW_MS
    for body in (b'{"code":"0","data":[]}', b'{"code":"0","data":[{"ts":"soon"}]}'):
        wire.answer((200, {}, body))
        with pytest.raises(BadPayload):
            rest.server_time_ms()


# Volumes and limits


def test_volumes_are_in_the_quote_currency(on_wire, wire):
    rest = on_wire()
    rest.server_time_ms()
    wire.answer((200, {}, recorded("tickers_spot")), (200, {}, recorded("tickers_swap")))
    assert rest.list_volumes() == {
        "BTC-USDT": 458903124.05,
        "BTC-USDT-SWAP": pytest.approx(36764.9 * 80000),
    }


def test_volumes_of_the_sandbox_are_alike_for_spot_and_swap(okx):
    told = okx.list_volumes()
    assert told["BTC-USDT"] == pytest.approx(told["BTC-USDT-SWAP"], rel=0.1)


def test_its_rows_keep_below_the_limit_of_the_candles():
    limit = VENUES["okx"].calls
    assert (limit.batch_size, limit.batch_delay_ms) == (18, 2100)
    # 25 symbols in six timeframes, a call each, against what 20 calls in 2 s take
    pauses = -(-150 // limit.batch_size) - 1
    assert pauses * limit.batch_delay_ms <= 1.2 * (-(-150 // 20) - 1) * 2000


def test_a_swap_and_its_spot_market_are_two_pairs(okx, sandbox):
    for symbol in ("BTC-USDT", "BTC-USDT-PERP"):
        got = okx.get_candles(symbol, "1m", AGO_MS, AGO_MS + 5 * MINUTE_MS)
        assert values(got) == sandbox.market.closed_candles(
            symbol, Timeframe.M1, AGO_MS, AGO_MS + 5 * MINUTE_MS
        )
