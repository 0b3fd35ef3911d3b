"""Kraken's REST: rows under any name, the newest 720 alone, and what its codes mean."""

import orjson
import pytest

from exchanges.errors import BadPayload, Banned, RateLimited, UnknownSymbol, Unreachable
from exchanges.rest import client
from exchanges.venues.kraken.rest import read_ban, read_error
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.venues.conftest import NOW_MS
from tests.exchanges.venues.kraken.payloads import recorded

H1, M1 = Timeframe.H1, Timeframe.M1
ROWS_MS = 1_790_352_000_000
NOW_MINUTE_MS = M1.floor(NOW_MS)
DEPTH = 720


@pytest.fixture
def rest(row, adapters, sandbox):
    return adapters(row("kraken", sandbox))


@pytest.fixture
def wired(row, adapters, wire):
    """Return a REST side of a server that says what it is told to, and that server."""
    exchange = row("kraken", wire)
    exchange.symbols.create(symbol="BTC-USD", native_symbol="BTC/USD")
    return adapters(exchange), wire


def good(result):
    return 200, {}, orjson.dumps({"error": [], "result": result})


def test_rows_are_found_under_whatever_name_and_have_their_volume_behind_the_average(wired):
    rest, wire = wired
    wire.answer((200, {}, recorded("time")), (200, {}, recorded("ohlc")))
    found = rest.get_candles("BTC-USD", H1, ROWS_MS, ROWS_MS + 2 * H1.ms)
    first, quiet = found
    assert first.values() == [ROWS_MS, 83777.6, 84097.0, 83706.0, 83732.6, 177.10097004]
    assert (quiet.open, quiet.close, quiet.volume) == (83732.6, 83732.6, 0.0)
    assert first.columns is None
    assert found.covered == ((ROWS_MS, ROWS_MS + 2 * H1.ms),)


def test_what_is_asked_for_begins_a_second_before_the_first_row(rest, sandbox):
    start_ms = NOW_MINUTE_MS - 5 * MINUTE_MS
    found = rest.get_candles("BTC-USD", M1, start_ms)
    assert found[0].timestamp == start_ms
    assert sandbox.requests.candles[-1].start_ms == start_ms


def test_volumes_are_in_the_quote_by_the_names_that_candles_are_asked_for(wired):
    rest, wire = wired
    wire.answer((200, {}, recorded("asset_pairs")), (200, {}, recorded("ticker")))
    assert rest.list_volumes() == {"BTC/USD": pytest.approx(3156.8478211 * 84174.6)}


@pytest.mark.parametrize("result", [None, [], {}, {"last": 1}, {"A": [], "B": []}, "x"])
def test_what_has_no_rows_is_refused(wired, result):
    rest, wire = wired
    wire.answer((200, {}, recorded("time")), good(result))
    with pytest.raises(BadPayload, match="not in Kraken's form"):
        rest.get_candles("BTC-USD", H1, ROWS_MS, ROWS_MS + H1.ms)


# Depth


def test_all_that_there_is_takes_one_call_and_is_the_newest_720(rest, sandbox):
    first_ms = NOW_MINUTE_MS - DEPTH * MINUTE_MS
    found = rest.get_candles("BTC-USD", M1, first_ms - 100 * MINUTE_MS)
    assert (len(found), found[0].timestamp) == (DEPTH, first_ms)
    assert found.too_old == ((first_ms - 100 * MINUTE_MS, first_ms),)
    assert len(sandbox.requests.candles) == 1


def test_a_row_that_has_gone_since_is_too_old_and_not_empty(rest, sandbox):
    """Our clock may be late by what its whole seconds leave out, or by more."""
    sandbox.clock.advance(NOW_MINUTE_MS - NOW_MS - 500)  # just before a minute begins
    rest.clock.settle()
    sandbox.clock.advance(1500 + 2 * MINUTE_MS)
    first_ms = NOW_MINUTE_MS - (DEPTH + 1) * MINUTE_MS  # of what we think that is told
    found = rest.get_candles("BTC-USD", M1, first_ms, first_ms + 10 * MINUTE_MS)
    gone_ms = found[0].timestamp
    assert first_ms < gone_ms
    assert found.too_old == ((first_ms, gone_ms),)
    assert found.covered == found.asked == ((gone_ms, first_ms + 10 * MINUTE_MS),)
    assert found.empty == ()


def test_a_full_answer_proves_nothing_of_what_is_before_its_first_row(wired):
    rest, wire = wired
    open_ms = M1.floor(ROWS_MS)
    rows = [
        [open_ms // 1000 - 60 * at, "5", "5", "5", "5", "0.0", "0.00", 0] for at in range(DEPTH)
    ][::-1]  # one fewer than we think that are told
    time, page = good({"unixtime": ROWS_MS // 1000 + 30}), good({"BTC/USD": rows, "last": 1})
    wire.answer(time, page, page)
    found = rest.get_candles("BTC-USD", M1, limit=DEPTH)
    first_ms = open_ms - (DEPTH - 1) * MINUTE_MS
    assert (len(found), found[0].timestamp) == (DEPTH - 1, first_ms)
    assert found.covered == found.asked == ((first_ms, open_ms),)
    assert (found.empty, found.too_old) == ((), ((first_ms - MINUTE_MS, first_ms),))


def test_whatever_since_does_rows_before_it_cost_nothing(wired):
    rest, wire = wired
    rows = [[ROWS_MS // 1000 + 60 * at, "5", "5", "5", "5", "0.0", "0.00", 0] for at in range(4)]
    told = {"unixtime": ROWS_MS // 1000 + 200, "rfc1123": ""}
    wire.answer(good(told), good({"BTC/USD": rows, "last": 1}))
    found = rest.get_candles("BTC-USD", M1, ROWS_MS + 2 * MINUTE_MS, ROWS_MS + 3 * MINUTE_MS)
    assert [each.timestamp for each in found] == [ROWS_MS + 2 * MINUTE_MS]
    assert found.covered == found.asked
    assert found.refused == []


# Codes


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("EQuery:Unknown asset pair", UnknownSymbol),
        ("EQuery:Invalid asset pair", UnknownSymbol),
        ("EAPI:Rate limit exceeded", RateLimited),
        ("EGeneral:Too many requests", RateLimited),
        ("EService:Unavailable", Unreachable),
        ("EService:Busy", Unreachable),
        ("EService:Market in cancel_only mode", Unreachable),
        ("EService:Market in post_only mode", Unreachable),
        ("EGeneral:Internal error", Unreachable),
        ("EGeneral:Invalid arguments", BadPayload),
        ("EAPI:Something new", BadPayload),
    ],
)
def test_a_code_says_what_to_do(code, kind):
    error = read_error(200, {"error": [code]})
    assert type(error) is kind
    assert code in str(error)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("EGeneral:Too many requests", RateLimited),
        (["WGeneral:Something", "EService:Busy"], Unreachable),
        ([{"code": 7}], BadPayload),
        ({"code": 7}, BadPayload),
        (7, BadPayload),
    ],
)
def test_an_error_in_another_form_is_no_good_answer(told, kind):
    assert type(read_error(200, {"error": told, "result": {"BTC/USD": []}})) is kind


@pytest.mark.parametrize(
    "body",
    [
        *({"error": []}, {"error": ["WGeneral:Something"], "result": {}}, {"error": None}),
        *({}, [], "x"),
    ],
)
def test_what_names_no_error_is_none(body):
    assert read_error(200, body) is None


def test_an_unknown_pair_is_told_in_http_200(wired):
    rest, wire = wired
    wire.answer((200, {}, recorded("time")), (200, {}, recorded("unknown_pair")))
    with pytest.raises(UnknownSymbol, match="does not know this symbol"):
        rest.get_candles("BTC-USD", H1, limit=1)


def test_a_lockout_is_a_ban_of_a_quarter_of_an_hour(wired):
    rest, wire = wired
    wire.answer((200, {}, b'{"error":["EGeneral:Temporary lockout"]}'))
    with pytest.raises(Banned):
        rest.server_time_ms()
    assert read_ban(200, b'{"error":["EGeneral:Temporary lockout"]}') == 900
    assert read_ban(200, b'{"error":"EGeneral:Temporary lockout"}') == 900
    assert read_ban(200, b"EGeneral:Temporary lockout") is None
    assert read_ban(200, b'{"error":[],"result":"EGeneral:Temporary lockout"}') is None


def test_an_empty_body_lets_all_pause_and_is_tried_again(wired, monkeypatch):
    monkeypatch.setattr(client, "PAUSE_SECONDS", 0.01)
    rest, wire = wired
    wire.answer((200, {}, b""), (200, {}, b""), (200, {}, recorded("time")))
    assert rest.server_time_ms() == 1_790_359_224_000
    assert len(wire.seen) == 3
    assert isinstance(read_error(200, None), RateLimited)
    assert read_error(502, None) is None
