"""What can be asked for below /v1/, each path once: routes, code and document are made of it.

A path is read by the parameters that stand here, and answers in the forms and with the statuses
that stand here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from livermore.market.derived import DERIVED, AnyTimeframe
from livermore.market.timeframe import Timeframe
from serving.candles.cached import LONGEST_WAIT_MS
from serving.native.errors import JSON
from serving.native.parameters import (
    HEADER,
    Choice,
    Choices,
    Count,
    EventId,
    Flag,
    Parameter,
    Text,
    Texts,
    Time,
)

ARROW, EVENTS = "application/vnd.apache.arrow.stream", "text/event-stream"
DEFAULT_ROWS, MAX_ROWS = 500, 1000
KEPT = {str(each): each for each in Timeframe}
TIMEFRAMES: Mapping[str, AnyTimeframe] = {**KEPT, **DERIVED}

EXCHANGE = Text(
    "exchange", "An exchange's name, as `/v1/exchanges` has it.", "sandbox", is_required=True
)
SYMBOL = Text(
    "symbol", "A symbol by our name (`BTC-USD`) or as one word (`BTCUSD`).", "BTC-USD", True
)
TIMEFRAME = Choice(
    "timeframe",
    "How long a bar is. Those that are not kept are made of complete shorter bars.",
    "1h",
    is_required=True,
    values=TIMEFRAMES,
)
START = Time(
    "start",
    "The first moment in which a bar may open: UTC epoch milliseconds, or ISO 8601, which is UTC "
    "where it names no zone. With it the answer has the oldest bars from there on; without it "
    "the newest.",
    "2026-11-28T12:00:00Z",
)
END = Time(
    "end",
    "The moment before which a bar has to open, in the same forms: it is not included itself. "
    "Without it all up to now.",
    "2026-11-28T18:00:00Z",
)
LIMIT: Count[int] = Count(
    "limit",
    "How many closed candles at the most. Where `start` has more, `next` says how to go on.",
    3,
    most=MAX_ROWS,
    default=DEFAULT_ROWS,
)
OPEN = Flag("open", "1 for the open candle as well, which comes apart as `open`.", 1)
WAIT: Count[int | None] = Count(
    "wait",
    "For how many milliseconds the answer may be held until the bar is known that has just ended, "
    "or ends within a second.",
    2000,
    most=LONGEST_WAIT_MS,
)
PARTIAL = Flag(
    "partial",
    "1 to be told what there is where not all is: `complete` is false then, and `missing` has the "
    "stretches whose candles are not known. Of what was asked for that is the newest `limit` bars "
    "by time, or those from `start` on.",
    1,
)
SYMBOLS = Texts(
    "symbols",
    "Symbols by either of their names, separated by commas. Without it all that are monitored.",
    "BTC-USD",
)
TIMEFRAMES_KEPT = Choices(
    "timeframes", "Timeframes, separated by commas. Without it all six.", "1h", values=KEPT
)
AFTER = EventId(
    "after",
    "The id of an event: those that came after it are told first. `0-0` begins with the oldest one "
    "that is kept. Without it only new ones are told.",
    "1795894200000-0",
)
LAST_EVENT_ID = EventId(
    "Last-Event-ID",
    "The same, as a client sends it that connects again. It is believed before `after`.",
    "1795894200000-0",
    where=HEADER,
)
ACCEPT_EXAMPLES = {"candles": ARROW, "events": EVENTS}


@dataclass(frozen=True, slots=True)
class Operation:
    """A path: what may be asked, and in which forms it is told, each by the schema's name.

    `headers` are those that its answers have beside their type.
    """

    path: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    forms: Mapping[str, str]
    is_about_one: bool = True  # exchange: another one is not found
    stays: bool = False  # open
    needs_exchanges: bool = True  # to be known
    headers: tuple[str, ...] = field(default=())


CANDLES = Operation(
    "candles",
    "Closed candles of a pair",
    "All closed candles that were asked for, oldest first, and a part of them only for who sends "
    "`partial`: what is missing is fetched first, and where that can't be done in time the answer "
    "is 503. A bar that "
    "ended less than five seconds ago and is not there yet is left out. Ten columns, which "
    "`columns` names; the last four are null where they are not known.",
    (EXCHANGE, SYMBOL, TIMEFRAME, START, END, LIMIT, OPEN, WAIT, PARTIAL),
    {JSON: "Candles", ARROW: ""},
    headers=(
        *("Age", "Cache-Status", "Vary"),
        *("X-Livermore-Complete", "X-Livermore-Newest-Close", "X-Livermore-Source"),
    ),
)
EXCHANGES = Operation(
    "exchanges",
    "All exchanges",
    "The exchanges that can be asked for, and which of their symbols are kept.",
    (),
    {JSON: "Exchanges"},
    is_about_one=False,
)
LISTED = Operation(
    "symbols",
    "The symbols of an exchange",
    "All symbols that an exchange lists, kept or not.",
    (EXCHANGE,),
    {JSON: "Symbols"},
)
MACD_V = Operation(
    "macd-v",
    "MACD-V of many pairs",
    "MACD-V as a running exchange keeps it with each close, and whether it is current.",
    (EXCHANGE, SYMBOLS, TIMEFRAMES_KEPT),
    {JSON: "MacdVValues"},
)
TICKERS = Operation(
    "tickers",
    "The last tickers",
    "The last ticker of each symbol as the stream told it. One that is 60 s old is told no more.",
    (EXCHANGE, SYMBOLS),
    {JSON: "Tickers"},
)
STATUS = Operation(
    "status",
    "Whether an exchange runs",
    "What the exchange's runner says of itself, and whether the stream comes now.",
    (EXCHANGE,),
    {JSON: "Status"},
)
CLOSES = Operation(
    "events",
    "Closes as they come",
    "Server-sent events: a `close` for each bar that closes, once and in order but for late ones. "
    "Who connects again with the last id misses none and gets none twice; where some are no longer "
    "kept, or Redis has lost them, a `gap` says so. Every block has an id, so that it moves on "
    "also where nothing is told that is asked for. Where nothing comes for 15 s a comment does. "
    "Who reads too slowly is ended, and connects again.",
    (EXCHANGE, SYMBOLS, TIMEFRAMES_KEPT, AFTER, LAST_EVENT_ID),
    {EVENTS: ""},
    stays=True,
    headers=("Cache-Control",),
)
DOCUMENT = Operation(
    "openapi.json",
    "This document",
    "What can be asked for, in the form of OpenAPI 3.1.",
    (),
    {JSON: ""},
    is_about_one=False,
    needs_exchanges=False,
)

OPERATIONS = {
    each.path: each
    for each in (CANDLES, EXCHANGES, LISTED, MACD_V, TICKERS, STATUS, CLOSES, DOCUMENT)
}
