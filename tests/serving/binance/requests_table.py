"""What Binance answers to right and wrong requests, as rows of docs/binance-requests.md.

`python -m tests.serving.binance.requests_table` prints the table, `--write` writes it there. Each
row is a test of `tests/serving/binance/test_requests.py`, which holds the document to these rows.

T stands for the time at which the open bar of an hour has opened, T-3h for three hours before.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livermore.market.candle import Candle, Ticker
from livermore.market.columns import read_columns
from livermore.market.timeframe import Timeframe

HOUR = Timeframe.H1.ms
BARS = 1000  # closed ones that the cache holds
DOCUMENT = Path(__file__).resolve().parents[3] / "docs/binance-requests.md"
HEAD = "| request | status | answer | from |\n|---|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)+")
TIME = re.compile(r"(?<=Time=)T(?:([+-]\d+)h)?")

# Where a row is from.
TOLD = "documented"
SEEN = "recorded"
OURS = "ours"


@dataclass(frozen=True)
class Truth:
    """What the cache of the test holds: T, and what was streamed."""

    open_ms: int

    def time(self, hours: int) -> int:
        return self.open_ms + hours * HOUR

    def candle(self, hours: int) -> Candle:
        """Return the bar that opened so many hours after T; 0 is the open one."""
        columns = read_columns(("20.5", 3, "0.1", "10.25"))
        close = round(101 - hours / 1000, 3)
        return Candle(self.time(hours), 100.5, 102.25, 99.125, close, 0.125, Timeframe.H1, columns)

    def row(self, hours: int, unit: str = "") -> list:
        """Return that bar as Binance writes it; with `unit` "000" in microseconds."""
        opened = self.time(hours)
        last = f"{opened + HOUR - 1}{unit and '999'}"
        return [
            int(f"{opened}{unit}"), "100.50000000", "102.25000000", "99.12500000",
            f"{101 - hours / 1000:.8f}", "0.12500000", int(last),
            "20.50000000", 3, "0.10000000", "10.25000000", "0",
        ]  # fmt: skip

    def rows(self, first: int, last: int, unit: str = "") -> list:
        return [self.row(hours, unit) for hours in range(first, last + 1)]

    def two_hours(self) -> list:
        """Return the last closed bar of two hours."""
        at = -2 - (self.open_ms // HOUR) % 2
        return [
            self.time(at), "100.50000000", "102.25000000", "99.12500000",
            f"{101 - (at + 1) / 1000:.8f}", "0.25000000", self.time(at + 2) - 1,
            "41.00000000", 6, "0.20000000", "20.50000000", "0",
        ]  # fmt: skip

    @property
    def ticker(self) -> Ticker:
        return Ticker("BTC-USD", 100.5, 2.5, 2.55, 110.0, 90.0, 7.0, self.open_ms)


@dataclass(frozen=True, eq=False)
class Row:
    """A request and its answer, of which `says` is what the document has.

    `content` is what the answer holds, made of the truth; None says that it is empty. `passed` is
    the path at which the exchange is asked for it, in its own form; "" says that it is not.
    """

    request: str
    status: int
    says: str
    origin: str
    content: Callable[[Truth], Any] | None = None
    passed: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    exchange: str = "sandbox"

    @property
    def method(self) -> str:
        return self.request.split()[0] if " " in self.request.partition("?")[0] else "GET"

    def address(self, truth: Truth) -> str:
        """Return path and query, with times in place of T."""
        path = self.request.removeprefix(f"{self.method} ")
        return TIME.sub(lambda found: str(truth.time(int(found[1] or 0))), path)

    def line(self) -> str:
        sent = "".join(f" `{name}: {value}`" for name, value in self.headers.items())
        of = "" if self.exchange == "sandbox" else f" of {self.exchange}"
        said = self.says.replace("|", "\\|")
        return f"| `{self.request}`{of}{sent} | {self.status} | {said} | {self.origin} |\n"


def wrong(request: str, code: int, text: str, origin: str, status: int = 400, **more: Any) -> Row:
    content = {"code": code, "msg": text}
    says = f"`{json.dumps(content, separators=(',', ':'), ensure_ascii=False)}`"
    return Row(request, status, says, origin, lambda truth: content, **more)


def right(
    request: str, says: str, origin: str, content: Callable[[Truth], Any], **more: Any
) -> Row:
    return Row(request, 200, says, origin, content, **more)


def own(request: str, passed: str, origin: str = TOLD, **more: Any) -> Row:
    """What the exchange is asked for: its own answer, which here tells what was asked."""
    says = "the exchange's own answer"
    return Row(request, 200, says, origin, lambda truth: PASSED, passed, **more)


PASSED = {"price": "4.00000200"}  # of whatever is asked of the exchange
MICROSECOND = {"X-MBX-TIME-UNIT": "MICROSECOND"}
MISSING = "Mandatory parameter '%s' was not sent, was empty/null, or malformed."
EMPTY = "Parameter '%s' was empty."
DIGITS = "Illegal characters found in parameter '%s'; legal range is '^[0-9]{1,20}$'."
LETTERS = r"[\w\-._&&[^a-z]]{1,50}"
SYMBOL = f"Illegal characters found in parameter 'symbol'; legal range is '^{LETTERS}$'."
SYMBOLS = (
    "Illegal characters found in parameter 'symbols'; legal range is "
    rf"""'^\[("{LETTERS}"(,"{LETTERS}"){{0,}}){{0,1}}\]$'."""
)
INTERVAL = (
    "Illegal characters found in parameter 'interval'; legal range is '^[a-zA-Z_0-9]{1,36}$'."
)
UNREAD = "Not all sent parameters were read; read '%d' parameter(s) but was sent '%d'."
MOST = "Too many parameters; expected '%d' and received '%d'."
TWICE = "Duplicate values for a parameter detected."
COMBINED = "Combination of optional parameters invalid."
UNIT = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
SIGNED = "Public market data is served here, and no signed call"
BTC = "klines?symbol=BTCUSD&interval=1h"

ROWS = [
    right("ping", "`{}`", TOLD, lambda truth: {}),
    wrong("ping?a=1", -1101, MOST % (0, 1), TOLD),
    wrong("time?a=1", -1101, MOST % (0, 1), SEEN),
    # Klines that are right.
    right(BTC, "the newest 500, oldest first, the open one last", TOLD,
          lambda truth: truth.rows(-499, 0)),
    right(f"{BTC}&limit=1000", "the newest 1,000", TOLD, lambda truth: truth.rows(-999, 0)),
    right(f"{BTC}&limit=1001", "the newest 1,000", SEEN, lambda truth: truth.rows(-999, 0)),
    right(f"{BTC}&limit=1", "the open one", TOLD, lambda truth: truth.rows(0, 0)),
    right(f"{BTC}&startTime=T-9h&limit=3", "from T-9h to T-7h", TOLD,
          lambda truth: truth.rows(-9, -7)),
    right(f"{BTC}&endTime=T-9h&limit=3", "from T-11h to T-9h", TOLD,
          lambda truth: truth.rows(-11, -9)),
    right(f"{BTC}&startTime=T-9h&endTime=T-7h", "from T-9h to T-7h: both are included", TOLD,
          lambda truth: truth.rows(-9, -7)),
    right(f"{BTC}&startTime=T-9h&endTime=T-9h", "that of T-9h", TOLD,
          lambda truth: truth.rows(-9, -9)),
    right(f"{BTC}&startTime=T-7h&endTime=T-9h", "`[]`", SEEN, lambda truth: []),
    right(f"{BTC}&startTime=T+1h", "`[]`", SEEN, lambda truth: []),
    right(f"{BTC}&startTime=T-9h000&endTime=T-7h001", "from T-9h to T-7h: these are microseconds",
          TOLD, lambda truth: truth.rows(-9, -7)),
    right(f"{BTC}&startTime=T-9h001&limit=1", "that of T-8h", TOLD,
          lambda truth: truth.rows(-8, -8)),
    right(f"{BTC}&limit=2", "two rows whose times are microseconds, the second one of each `…999`",
          TOLD, lambda truth: truth.rows(-1, 0, "000"), headers=MICROSECOND),
    right("uiKlines?symbol=BTCUSD&interval=1h&limit=2", "the same as `klines`", TOLD,
          lambda truth: truth.rows(-1, 0)),
    right("klines?interval=1h&limit=2&symbol=BTCUSD", "the order makes no difference", TOLD,
          lambda truth: truth.rows(-1, 0)),
    right(f"{BTC}&limit=1&timeZone=0", "that of UTC", TOLD, lambda truth: truth.rows(0, 0)),
    right(f"{BTC}&limit=1&timeZone=8", "the same bars: an hour begins there as in UTC", TOLD,
          lambda truth: truth.rows(0, 0)),
    right(f"{BTC}&limit=1&timeZone=-1:00", "the same", TOLD, lambda truth: truth.rows(0, 0)),
    right(f"{BTC}&limit=1&timeZone=-12:00", "the same", TOLD, lambda truth: truth.rows(0, 0)),
    right(f"{BTC}&limit=1&timeZone=14:00", "the same", TOLD, lambda truth: truth.rows(0, 0)),
    own(f"{BTC}&timeZone=05:45", "klines"),
    own(f"{BTC}&timeZone=%2B05:45", "klines"),
    right("klines?symbol=BTCUSD&interval=2h&endTime=T-2h&limit=1",
          "made of two bars of an hour, where both have ended by T", TOLD,
          lambda truth: [truth.two_hours()]),
    own("klines?symbol=BTCUSD&interval=1w", "klines"),
    own("uiKlines?symbol=BTCUSD&interval=1M", "uiKlines"),
    # Klines that are wrong.
    wrong("klines", -1102, MISSING % "symbol", SEEN),
    wrong("klines?interval=1h", -1102, MISSING % "symbol", SEEN),
    wrong("klines?symbol=BTCUSD", -1102, MISSING % "interval", SEEN),
    wrong("klines?symbol=&interval=1h", -1105, EMPTY % "symbol", SEEN),
    wrong("klines?symbol=BTCUSD&interval=", -1105, EMPTY % "interval", SEEN),
    wrong(f"{BTC}&limit=", -1105, EMPTY % "limit", TOLD),
    wrong(f"{BTC}&limit=0", -1102, MISSING % "limit", SEEN),
    wrong(f"{BTC}&limit=-1", -1100, DIGITS % "limit", SEEN),
    wrong(f"{BTC}&limit=ten", -1100, DIGITS % "limit", SEEN),
    wrong(f"{BTC}&limit=None", -1100, DIGITS % "limit", SEEN),
    wrong(f"{BTC}&limit={'1' * 21}", -1100, DIGITS % "limit", TOLD),
    wrong(f"{BTC}&startTime=now", -1100, DIGITS % "startTime", TOLD),
    wrong(f"{BTC}&startTime=1795888800.5", -1100, DIGITS % "startTime", TOLD),
    wrong(f"{BTC}&endTime=None", -1100, DIGITS % "endTime", SEEN),
    wrong(f"{BTC}&endTime=-1", -1100, DIGITS % "endTime", TOLD),
    wrong("klines?symbol=NOPE&interval=1h", -1121, "Invalid symbol.", SEEN),
    wrong("klines?symbol=NOPE&interval=1", -1121, "Invalid symbol.", SEEN),
    wrong("klines?symbol=btcusd&interval=1h", -1100, SYMBOL, SEEN),
    wrong("klines?symbol=BTC/USD&interval=1h", -1100, SYMBOL, TOLD),
    wrong("klines?symbol=BTC%20USD&interval=1h", -1100, SYMBOL, TOLD),
    wrong("klines?symbol=BTCUSD&interval=1", -1120, "Invalid interval.", SEEN),
    wrong("klines?symbol=BTCUSD&interval=1H", -1120, "Invalid interval.", TOLD),
    wrong("klines?symbol=BTCUSD&interval=7m", -1120, "Invalid interval.", TOLD),
    wrong("klines?symbol=BTCUSD&interval=%221h%22", -1100, INTERVAL, SEEN),
    wrong(f"{BTC}&fromId=1", -1104, UNREAD % (2, 3), SEEN),
    wrong(f"{BTC}&star_time=1&end_time=2", -1104, UNREAD % (2, 4), SEEN),
    wrong(f"{BTC}&startTime=1&endTime=2&limit=5&timeZone=0&a=1", -1101, MOST % (6, 7), SEEN),
    wrong(f"{BTC}&symbol=BTCUSD", -1101, TWICE, SEEN),
    wrong(f"{BTC}&limit=1&limit=1", -1101, TWICE, TOLD),
    *(
        wrong(f"{BTC}&timeZone={zone}", -1130, "Data sent for parameter 'timeZone' is not valid.",
              OURS)
        for zone in ("14:01", "-12:01", "05:60", "UTC")
    ),
    wrong(BTC, -1194, UNIT, TOLD, headers={"X-MBX-TIME-UNIT": "SECOND"}),
    # What is listed.
    own("exchangeInfo", "exchangeInfo"),
    own("exchangeInfo?symbol=BTCUSD", "exchangeInfo"),
    own("exchangeInfo?symbols=[%22BTCUSD%22]", "exchangeInfo"),
    own("exchangeInfo?permissions=SPOT&showPermissionSets=false", "exchangeInfo"),
    own("exchangeInfo?symbolStatus=TRADING", "exchangeInfo"),
    wrong("exchangeInfo?symbol=NOPE", -1121, "Invalid symbol.", TOLD),
    wrong("exchangeInfo?symbol=", -1105, EMPTY % "symbol", SEEN),
    wrong("exchangeInfo?symbol=BTCUSD&symbols=[%22BTCUSD%22]", -1128, COMBINED, TOLD),
    wrong("exchangeInfo?symbol=BTCUSD&permissions=SPOT", -1128, COMBINED, TOLD),
    wrong("exchangeInfo?symbol=BTCUSD&symbolStatus=TRADING", -1128, COMBINED, TOLD),
    wrong("exchangeInfo?symbolStatus=OPEN", -1122, "Invalid symbolStatus.", TOLD),
    # Tickers.
    own("ticker/24hr?symbol=BTCUSD", "ticker/24hr"),
    own("ticker/24hr?symbols=[%22BTCUSD%22]&type=MINI", "ticker/24hr"),
    own("ticker/24hr", "ticker/24hr"),
    wrong("ticker/24hr?symbol=BTCUSD&type=LONG", -1139, "Invalid ticker type.", TOLD),
    wrong("ticker/24hr?symbol=BTCUSD&symbolStatus=OPEN", -1122, "Invalid symbolStatus.", TOLD),
    wrong("ticker/24hr?symbols=BTCUSD", -1100, SYMBOLS, SEEN),
    wrong("ticker/24hr?symbols=[%22BTCUSD%22,%20%22ETHUSD%22]", -1100, SYMBOLS, SEEN),
    wrong("ticker/24hr?symbols=[%22BTCUSD%22,%22BTCUSD%22]", -1151,
          "Symbol is present multiple times in the list.", TOLD),
    wrong("ticker/24hr?symbols=[]", -1105, EMPTY % "symbols", OURS),
    wrong("ticker/24hr?limit=1", -1104, UNREAD % (0, 1), SEEN),
    wrong("ticker/24hr?limit=1&limit=2", -1101, TWICE, SEEN),
    wrong("ticker/24hr?a=1&b=2&c=3&d=4&e=5", -1101, MOST % (4, 5), SEEN),
    right("ticker/price?symbol=BTCUSD", "its price", TOLD,
          lambda truth: {"symbol": "BTCUSD", "price": "100.50000000"}),
    right("ticker/price?symbols=[%22BTCUSD%22]", "a list of one", TOLD,
          lambda truth: [{"symbol": "BTCUSD", "price": "100.50000000"}]),
    own("ticker/price", "ticker/price"),
    wrong("ticker/price?symbol=BTCUSD&symbols=[%22BTCUSD%22]", -1128, COMBINED, TOLD),
    wrong("ticker/price?symbols=BTCUSD&symbols=ETHUSD", -1100, SYMBOLS, SEEN),
    own("ticker/bookTicker?symbol=BTCUSD", "ticker/bookTicker"),
    wrong("ticker/bookTicker?symbol=BTCUSD&a=1", -1104, UNREAD % (1, 2), SEEN),
    own("ticker?symbol=BTCUSD&windowSize=1d", "ticker"),
    wrong("ticker", -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!",
          TOLD),
    # Books and trades.
    own("depth?symbol=BTCUSD&limit=6000", "depth"),
    wrong("depth?symbol=BTCUSD&limit=0", -1102, MISSING % "limit", SEEN),
    wrong("depth?symbol=BTCUSD&limit=-5", -1100, DIGITS % "limit", SEEN),
    wrong("depth?symbol=", -1105, EMPTY % "symbol", SEEN),
    wrong("depth?symbol=BTC_USD", -1121, "Invalid symbol.", SEEN),
    own("trades?symbol=BTCUSD&limit=5", "trades"),
    wrong("trades?symbol=BTCUSD&limit=0", -1102, MISSING % "limit", SEEN),
    own("aggTrades?symbol=BTCUSD&startTime=T-1h", "aggTrades"),
    wrong("aggTrades?symbol=BTCUSD&fromId=-1", -1100, DIGITS % "fromId", SEEN),
    own("avgPrice?symbol=BTCUSD", "avgPrice"),
    wrong("avgPrice?symbol=", -1105, EMPTY % "symbol", SEEN),
    wrong("historicalBlockTrades?symbol=BTCUSD", -1102, MISSING % "fromId", TOLD),
    wrong("referencePrice", -1102, MISSING % "symbol", SEEN),
    # Paths and methods.
    Row("HEAD klines?symbol=BTCUSD&interval=1h", 200, "nothing but the headers", OURS),
    wrong("POST klines?symbol=BTCUSD&interval=1h", -1020, "This operation is not supported.", OURS,
          405),
    Row("exchangie", 404, "nothing", SEEN),
    Row("exchangie", 404, "`<html><body><h2>404 Not found</h2></body></html>`", TOLD,
        lambda truth: "<html><body><h2>404 Not found</h2></body></html>",
        headers={"Accept": "text/html"}),
    wrong("account", -2015, SIGNED, OURS, 401),
    wrong("POST order?symbol=BTCUSD", -2015, SIGNED, OURS, 401),
    wrong(f"{BTC}&timestamp=1&signature=a", -2015, SIGNED, OURS, 401),
    # An exchange that speaks another protocol.
    right("ticker/24hr?symbol=BTCUSD&type=MINI", "what its stream tells; the rest is `null`", OURS,
          lambda truth: {
              "symbol": "BTCUSD", "openPrice": "98.00000000", "highPrice": "110.00000000",
              "lowPrice": "90.00000000", "lastPrice": "100.50000000", "volume": "7.00000000",
              "quoteVolume": None, "openTime": truth.time(-24), "closeTime": truth.time(0),
              "firstId": None, "lastId": None, "count": None,
          }, exchange="coinbase"),
    right("ticker/price?symbols=[%22BTCUSD%22]&symbolStatus=BREAK", "`[]`", TOLD,
          lambda truth: [], exchange="coinbase"),
    wrong("ticker/price?symbol=BTCUSD&symbolStatus=BREAK", -1220,
          "The symbol's status does not match the requested symbolStatus.", TOLD,
          exchange="coinbase"),
    wrong("depth?symbol=BTCUSD", -1020,
          "depth of coinbase is not served: it speaks another protocol itself", OURS,
          exchange="coinbase"),
    wrong("klines?symbol=BTCUSD&interval=1w", -1020,
          "klines of coinbase is not served: it speaks another protocol itself", OURS,
          exchange="coinbase"),
]  # fmt: skip


def table() -> str:
    return HEAD + "".join(row.line() for row in ROWS)


def written() -> str:
    """Return the document with the rows as they are."""
    text, count = TABLE.subn(lambda found: table(), DOCUMENT.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{DOCUMENT.name} has {count} tables of requests")
    return text


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(written(), encoding="utf-8")
    else:
        print(table(), end="")
