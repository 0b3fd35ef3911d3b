"""Parameters of every kind on every path: one line in the exchange's form, and nobody is asked."""

import itertools
import logging
import re
from urllib.parse import quote

import orjson
import pytest

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from tests.serving.conftest import Filled
from tests.serving.hostile.raw import Asking, is_one_line
from tests.serving.serving import served
from tests.warmup.runners import SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)

# What no parameter of theirs may be, as it stands in an address.
NOTHING_OF_ALL = [
    *(quote(each) for each in (
        "\x00", "BTC\x00USD", "\n", "BTCUSD\n", "BTCUSD\r\nX-Other: 1", "\x7f", "\u2028", "\u202e",
        "１２", "٣", "²", "1e309", "1E5", "NaN", "-inf", "-1", "1.5", "+1", "0x10", "1_000",
        "9" * 400, " ", " 5", "5 ", "[]", "{}", '""', "null", "true", "'; DROP TABLE symbols; --",
        "${jndi:x}",
        "../../etc/passwd", "btc\u200busd", "🦄", "\u0130", "<script>", "%s%n", "A" * 5000,
    )),
    "%", "%%", "%2", "%zz", "%00", "%FF", "%ED%A0%80", "%C0%AF", "%u0041", "\\",
    b"\xff\xfe", b"\xed\xa0\x80",
]  # fmt: skip
NO_REQUEST = b"This is no HTTP request that can be read"
SYMBOL = "symbol=BTCUSD"
KLINES = f"{SYMBOL}&interval=1h"
# Of each path below /api/v3/ a request that is right, and its parameters.
BINANCES = {
    "ping": ("", ()),
    "time": ("", ()),
    "klines": (KLINES, ("symbol", "interval", "startTime", "endTime", "limit", "livermoreWait")),
    "uiKlines": (KLINES, ("symbol", "interval", "startTime", "endTime", "limit")),
    "ticker/price": (SYMBOL, ("symbol", "symbols")),
    "ticker/24hr": (SYMBOL, ("symbol", "symbols", "type")),
    "ticker/bookTicker": (SYMBOL, ("symbol", "symbols")),
    "exchangeInfo": ("", ("symbol", "symbols")),
    "depth": (SYMBOL, ("symbol", "limit")),
    "trades": (SYMBOL, ("symbol", "limit")),
    "aggTrades": (SYMBOL, ("symbol", "limit", "fromId", "startTime", "endTime")),
    "avgPrice": (SYMBOL, ("symbol",)),
}
CANDLES = "start=1795000000&end=1795010000&granularity=ONE_HOUR"
COINBASES = {
    "market/products/BTC-USD/candles": (CANDLES, ("start", "end", "granularity", "limit")),
}
V1 = "exchange=sandbox"
OURS = {
    "exchanges": ("", ()),
    "candles": (f"{V1}&symbol=BTC-USD&timeframe=1h",
                ("exchange", "symbol", "timeframe", "start", "end", "limit", "open")),
    "macd-v": (V1, ("exchange", "symbols", "timeframes")),
    "status": (V1, ("exchange",)),
    "events": (V1, ("exchange", "symbols", "timeframes", "after")),
}  # fmt: skip


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def changed(query, name, value):
    """Return a query in which one parameter is another."""
    kept = [each for each in query.split("&") if each and not each.startswith(f"{name}=")]
    return b"&".join([*map(str.encode, kept), name.encode() + b"=" + as_bytes(value)])


def requests_of(paths, values):
    """Yield each path with each of its parameters as each of these values."""
    for path, (query, names) in paths.items():
        # Coinbase passes over what it does not know.
        others = () if paths is COINBASES else ("nobodysParameter",)
        for name, value in itertools.product((*names, *others), values):
            yield path.encode() + b"?" + changed(query, name, value)
        if others:
            yield path.encode() + b"?" + query.encode() + b"&" + b"a" * 5000 + b"=1"
            yield path.encode() + b"?" + b"&".join([query.encode(), query.encode(), b"x=1&x=2"])


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as started:
        yield started


def check(asking, start, targets, is_refusal):
    """Ask for all of them; return those whose answer is none of what may be told."""
    wrong, asked = [], 0
    for target in targets:
        found = asking.ask(start + target)
        asked += 1
        try:
            content = orjson.loads(found.body)
            is_right = found.status in (400, 404) and is_refusal(content, found.status)
        except ValueError:
            is_right = found.body == NO_REQUEST and not target.isascii()
        if not is_right:
            wrong.append((target[:90], found.status, found.body[:120]))
    assert asked > 50
    return wrong


def is_binances(content, status):
    return content.keys() == {"code", "msg"} and content["code"] < 0 and is_one_line(content["msg"])


def is_coinbases(content, status):
    words = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}
    return content["error"] == words[status] and is_one_line(content["message"])


def is_ours(content, status):
    return content.keys() == {"error"} and is_one_line(content["error"])


@pytest.mark.parametrize(
    ("row", "start", "paths", "is_refusal"),
    [
        ("sandbox", b"/sandbox/api/v3/", BINANCES, is_binances),
        ("coinbase", b"/coinbase/api/v3/brokerage/", COINBASES, is_coinbases),
        ("sandbox", b"/v1/", OURS, is_ours),
    ],
)
def test_what_can_not_be_is_refused_and_asked_of_nobody(
    redis, sandbox, caplog, row, start, paths, is_refusal
):
    made = make_row(sandbox, name=row)
    Filled(redis)
    before = sandbox.requests.counts
    with served(redis) as url:
        wrong = check(Asking(url), start, requests_of(paths, NOTHING_OF_ALL), is_refusal)
    assert wrong == []
    assert sandbox.requests.counts == before
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []
    assert made.pk


NAMES = [
    *(quote(each, safe="") for each in (
        "Sandbox", "SANDBOX", "sandbox ", " sandbox", "sandbox\x00", "sandbox\n", "sandbox/",
        "sandbox.", "ѕandbox", "sand\u200bbox", "..", ".", "k", "v1", "*", "sandbox;a=1",
        "sandbox,binance", "4", "", "__class__", "{exchange}", "A" * 5000,
    )),
    "sandbox%2500", "%73andbox%00", b"\xff",
]  # fmt: skip


def test_an_exchange_has_one_name(redis, sandbox, caplog):
    make_row(sandbox)
    before = sandbox.requests.counts
    with served(redis) as url:
        asking, wrong = Asking(url), []
        for name in map(as_bytes, NAMES):
            for target in (
                b"/" + name + b"/api/v3/klines?symbol=BTCUSD&interval=1h",
                b"/" + name + b"/api/v3/brokerage/market/products/BTC-USD",
                b"/v1/status?exchange=" + name, b"/" + name + b"/ws",
            ):  # fmt: skip
                found = asking.ask(target)
                text = found.body.decode()
                if found.status not in (400, 404) or not is_one_line(text) or len(text) > 400:
                    wrong.append((target[:60], found))
        assert wrong == []
        assert asking.ask("/%73andbox/api/v3/ping").status == 200  # that is how it may be written
    assert sandbox.requests.counts == before
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


def test_an_exchange_that_is_switched_off_is_not_asked(redis, sandbox):
    make_row(sandbox, is_active=False)
    before = sandbox.requests.counts
    with served(redis) as url:
        asking = Asking(url)
        for path in ("klines?symbol=BTCUSD&interval=1h", "depth?symbol=BTCUSD", "exchangeInfo"):
            found = asking.ask(f"/sandbox/api/v3/{path}")
            assert found.status == 503 and b"switched off" in found.body, found
            assert int(found.headers["retry-after"]) > 0
    assert sandbox.requests.counts == before


FAR = [
    "startTime=0", "endTime=0", "startTime=0&endTime=0", "startTime=1&endTime=0",
    "endTime=" + "9" * 18, "startTime=" + "9" * 18, "startTime=253402300800000&endTime=9",
    "limit=" + "9" * 18, "limit=1001", "startTime=00000000000000000001",
]  # fmt: skip


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_times_that_no_calendar_has_are_answered(redis, sandbox, caplog, name):
    """Where a symbol begins is looked for; a 503 meanwhile is one that asking again cures."""
    make_row(sandbox, name=name)
    with served(redis) as url:
        asking = Asking(url)
        found = {}
        for each in FAR:
            path = f"/{name}/api/v3/klines?{KLINES}&{each}"
            answers = (asking.ask(path) for _ in range(5))
            found[each] = next(told for told in answers if told.status != 503)
    assert {told.status for told in found.values()} <= {200, 400}
    assert all(is_one_line(told.body.decode()) for told in found.values())
    assert not re.search("Traceback", caplog.text)
