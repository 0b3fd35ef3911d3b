"""Names, commands and frames that mean harm, or were written by somebody who didn't care."""

import json
from typing import NamedTuple

LONG = 10_000_000
DAY_MS = 86_400_000
MARKUP = "<SCRIPT>ALERT(1)</SCRIPT>-USD"
NAMES = [
    "*-USD",
    "?-USD",
    "{X}-USD",
    MARKUP,
    "../../ETC/PASSWD-USD",
    "%0D%0ASET%20X-USD",
    "X';DROP-USD",
    "É-USD",
    "币安人生-USD",
    "🦄-USD",
]
ODD = "A-USD"  # the name of a row whose status is of a wrong type: it is a name like others
# What can't be a part of a key, of a column or of a line.
UNUSABLE = ["A:B-USD", "A\r\nSET X 1\r\n-USD", "A B-USD", "A\x00-USD", "A\u202e-USD", "A" * 101]


class Frame(NamedTuple):
    """What is sent, and whether a runner has to count it as one that it did not take.

    It need not where the frame only names what the runner does not follow, or what it does (some
    of the odd names are served and monitored), or tells of tomorrow.
    """

    text: bytes
    is_counted: bool


def listings(good):
    """Return a Binance listing with `good` symbols among odd ones, and others of wrong types."""
    rows = [_market(*name.rpartition("-")[::2]) for name in [*UNUSABLE, *NAMES, *good]]
    odd = []
    for value in (None, 5, ["A"], {"A": 1}, "", True):
        usual = _market("A", "USD")
        odd += [usual | {name: value} for name in ("symbol", "baseAsset", "quoteAsset", "status")]
    odd += [None, 7, "BTC", [], {}]
    return _listing(rows), [_listing([*rows, row]) for row in odd]


def commands():
    """Return what somebody may ask of a runner, in the form of a command's arguments."""
    named = [
        (name, {"symbol": symbol})
        for name in ("add-symbol", "force-backfill", "remove-symbol", "repair")
        for symbol in [*NAMES, *UNUSABLE, "", "BTC-USD:1m"]
    ]
    return [
        *named,
        ("bulk-add-symbols", {"symbols": NAMES}),
        ("bulk-add-symbols", {"symbols": [1, None, {}]}),
        ("force-backfill", {"symbol": "BTC-USD", "timeframes": ["*"], "count": 1}),
        ("force-backfill", {"symbol": "BTC-USD", "timeframes": "1m", "count": "many"}),
        ("force-backfill", {"symbol": "BTC-USD", "timeframes": ["1d"], "count": -1}),
        ("force-backfill", {"symbol": "BTC-USD", "timeframes": ["1d"], "count": 10**12}),
        ("warmup", {"symbols": "BTC-USD", "timeframes": 7}),
    ]


def entries():
    """Return what somebody may write into a control stream, past its client."""
    command = _dumps({"requestId": "r", "command": "FLUSHALL", "arguments": {}})
    texts = [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b"{}", command, command * 2]
    kinds = [b"command", b"reply", b"\x00", b"<script>"]
    return [{b"kind": kind, b"message": text} for kind in kinds for text in texts] + [{b"x": b"y"}]


def frames(venue, now_ms, served):
    """Return frames for one of the protocols, none of which tells anything true.

    `served` are the names that are monitored.
    """
    texts = [
        *(b"", b"null", b"{}", b"7", b'"text"', b"\xff\xfe\x00", b"NaN", b'{"e":"kline"}'),
        *(b"[" * 50_000 + b"]" * 50_000, b'{"a":' * 50_000, b"\r\nFLUSHALL\r\n"),
        *(b"<script>alert(1)</script>", b"x" * LONG, b'{"channel":"%s"}' % (b"y" * LONG)),
    ]
    own = _binance(now_ms) if venue == "binance" else _coinbase(now_ms, served)
    return [Frame(text, True) for text in texts] + own


def _listing(rows):
    return _dumps({"symbols": rows, "rateLimits": []})


def _market(base, quote):
    native = f"{base}{quote}"
    return {"symbol": native, "baseAsset": base, "quoteAsset": quote, "status": "TRADING"}


def _binance(now_ms):
    opened = now_ms - now_ms % 60_000
    bar = {
        "t": opened, "T": opened + 59_999, "s": "BTCUSD", "i": "1m", "f": 1, "L": 2, "o": "1",
        "c": "1", "h": "1", "l": "1", "v": "1", "n": 1, "x": True, "q": "1", "V": "1", "Q": "1",
    }  # fmt: skip
    of_bar = [
        {"t": opened // 1000}, {"t": opened * 1000}, {"t": opened * 10**6}, {"t": opened + 7},
        {"t": str(opened)}, {"t": -1}, {"t": 10**30}, {"t": None}, {"o": "1e999"}, {"h": "-1"},
        {"l": "NaN"}, {"c": 1.0}, {"v": "-0.1"}, {"x": "false"}, {"x": 1},
        {"i": ["1m"]}, {"o": "1_0"}, {"l": "2"},
    ]  # fmt: skip
    of_frame = [{"E": now_ms // 1000}, {"E": now_ms * 1000}, {"E": now_ms * 10**6}, {"E": "now"}]
    of_frame += [{"s": ["BTCUSD"]}, {"e": "*"}, {"k": []}, {"k": None}]
    data = {"e": "kline", "E": now_ms, "s": "BTCUSD", "k": bar}
    broken = [data | {"k": bar | change} for change in of_bar]
    broken += [data | change for change in of_frame]
    odd = [data | {"s": name.replace("-", "")} for name in [*NAMES, *UNUSABLE]]
    odd.append(data | {"k": bar | {"i": "*"}})
    tomorrow = {"t": opened + DAY_MS, "T": opened + DAY_MS + 59_999}
    odd += [data | {"k": bar | tomorrow}, data | {"E": now_ms + DAY_MS, "k": bar | tomorrow}]
    return [
        Frame(b"[]", False),
        *(Frame(_binance_text(each), True) for each in broken),
        *(Frame(_binance_text(each), False) for each in odd),
    ]


def _binance_text(data):
    return _dumps({"stream": "btcusd@kline_1m", "data": data})


def _coinbase(now_ms, served):
    row = {
        "start": str((now_ms - now_ms % 300_000) // 1000), "open": "1", "high": "1", "low": "1",
        "close": "1", "volume": "1", "product_id": "BTC-USD",
    }  # fmt: skip
    seconds = int(row["start"])
    of_row = [
        {"start": str(seconds * 1000)}, {"start": str(seconds * 10**6)},
        {"start": str(seconds * 10**9)}, {"start": "*"}, {"start": None},
        {"start": str(seconds + 7)}, {"open": "1e999"}, {"high": "-1"},
        {"low": "NaN"}, {"close": 1.0}, {"volume": "-1"}, {"product_id": ["BTC-USD"]},
    ]  # fmt: skip
    of_row += [{"product_id": name} for name in [*NAMES, *UNUSABLE] if name not in served]
    trade = {
        "product_id": "BTC-USD", "trade_id": "7", "price": "1", "size": "1", "side": "BUY",
        "time": "2026-11-19T00:00:00Z",
    }  # fmt: skip
    of_trade = [
        {"time": str(now_ms)}, {"time": now_ms * 10**6}, {"time": None}, {"price": "1e999"},
        {"size": "NaN"}, {"size": "-1"}, {"trade_id": "*"}, {"product_id": []},
    ]  # fmt: skip
    frame = {"channel": "candles", "timestamp": "2026-11-19T00:00:00Z", "sequence_num": 0}
    trades = frame | {"channel": "market_trades"}
    broken = [_of_candle(frame, row | change) for change in of_row]
    broken += [trades | {"events": [{"trades": [trade | change]}]} for change in of_trade]
    for change in (
        {"timestamp": str(seconds)}, {"timestamp": None}, {"sequence_num": "*"}, {"events": None},
        {"sequence_num": None}, {"channel": ["candles"]}, {"channel": "<script>"},
    ):  # fmt: skip
        broken.append(frame | {"events": []} | change)
    odd = [_of_candle(frame, row | {"product_id": name}) for name in served]
    return [
        Frame(b"[]", True),
        *(Frame(_dumps(each), True) for each in broken),
        *(Frame(_dumps(each), False) for each in odd),
    ]


def _of_candle(frame, row):
    return frame | {"events": [{"type": "update", "candles": [row]}]}


def _dumps(value):
    return json.dumps(value).encode()
