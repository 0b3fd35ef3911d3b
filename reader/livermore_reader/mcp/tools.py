"""What assistants may ask. Each answer begins with what it stands on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livermore_reader.candles import SIX, Candles
from livermore_reader.client import Reader
from livermore_reader.errors import BadRequest, Unavailable
from livermore_reader.mcp import words
from livermore_reader.mcp.arguments import Parameter
from livermore_reader.sources.source import Status
from livermore_reader.times import DERIVED, KEPT, length_ms, utc

COUNT, MOST = 100, 1000
NEWEST = 2  # the last one may be on its way
EXCHANGE = Parameter("text", "the exchange's name, as `pairs` lists it", required=True)
SYMBOL = Parameter("text", "such as BTC-USDT, as `pairs` lists it", required=True)
SYMBOLS = Parameter("names", "symbols, such as BTC-USDT; all without it")
TIMEFRAMES = Parameter("names", f"of {' '.join(KEPT)}; all without it")
NOTHING = "NOTHING IS KNOWN: no pair of that is kept."
NOT_LOOKED_AT = "Completeness: not looked at here; ask `missing`, or `candles` of one pair."


@dataclass(frozen=True, slots=True)
class Tool:
    """What an assistant may call, and the text that answers it. Raises ReaderError."""

    name: str
    description: str
    parameters: Mapping[str, Parameter]
    answer: Callable[..., str]


def pairs(reader: Reader, exchange: str | None = None) -> str:
    names = [exchange] if exchange else [each.name for each in reader.exchanges()]
    if not names:
        return "NOTHING IS KNOWN: no exchange is in this cache."
    told = []
    for name in names:
        symbols = sorted({symbol for symbol, _ in reader.pairs(name)})
        told.append(
            f"{_streamed(reader.status(name))}\n{len(symbols)} symbols: {' '.join(symbols)}"
        )
    kept = f"Timeframes of each: {' '.join(KEPT)}; made of these where asked for: "
    head = f"{NOT_LOOKED_AT}\nSource: Livermore's list of what its cache keeps."
    return "\n".join([head, "", *told, "", kept + " ".join(DERIVED)])


def candles(
    reader: Reader,
    exchange: str,
    symbol: str,
    timeframe: str,
    count: int | None = None,
    start: str | None = None,
    end: str | None = None,
    live: bool = False,
) -> str:
    if count is None and start is None:
        count = COUNT
    found = reader.read(exchange, symbol, timeframe, count, start=start, end=end, live=live)
    what = f"{len(found.rows)} closed candles of {exchange} {found.symbol} {timeframe}, by the "
    what += "time they opened at, oldest first:"
    return "\n".join([words.standing(found), "", what, *words.table(found, SIX)])


def macd_v(
    reader: Reader,
    exchange: str,
    symbols: Sequence[str] | None = None,
    timeframes: Sequence[str] | None = None,
) -> str:
    values = reader.read_macd_v(exchange, symbols, timeframes)
    now_ms = reader.status(exchange).now_ms
    good = [each for each in values if each["current"] and each.get("coverageComplete")]
    verdict = "COMPLETE: each value stands on the newest closed candle and a window without holes."
    if len(good) < len(values):
        verdict = (
            f"INCOMPLETE: {len(values) - len(good)} of {len(values)} values are NOT current, not "
            "there, or stand on a window with holes; do not rely on these: the columns say which."
        )
    if not values:
        verdict = NOTHING
    lines = [
        verdict,
        f"Age: beside each value; by the exchange's clock it is {utc(now_ms)}.",
        "Source: computed by Livermore from the closed candles of its cache.",
        "",
        "symbol,timeframe,current,candle_opened,closed,value,signal,histogram,stage,window_complete,"
        "why_none",
    ]
    return "\n".join(lines + [_value_line(each, now_ms) for each in values])


def missing(
    reader: Reader,
    exchange: str,
    symbols: Sequence[str] | None = None,
    timeframes: Sequence[str] | None = None,
    count: int = COUNT,
) -> str:
    if count > MOST:
        raise BadRequest(f"count is at most {MOST}: no more are kept of a pair")
    found = reader.newest(exchange, symbols, timeframes, count)
    lacking = [each for each in found if each.missing]
    verdict = f"COMPLETE: none of the newest {count} closed candles is missing in {len(found)} "
    verdict += "pairs."
    if lacking:
        verdict = (
            f"INCOMPLETE, DO NOT RELY ON THESE: {len(lacking)} of {len(found)} pairs lack some of "
            f"their newest {count} closed candles; "
            f"{sum(each.is_stale for each in lacking)} of them are STALE."
        )
    if not found:
        verdict = NOTHING
    shown = [
        f"{each.symbol} {each.timeframe}: {'STALE, ' if each.is_stale else ''}missing "
        f"{words.stretches(each.missing, each.timeframe)}"
        for each in lacking[: words.SHOWN]
    ]
    more = [f"and {len(lacking) - words.SHOWN} pairs more"] if len(lacking) > words.SHOWN else []
    ages = [_ages(found, each) for each in dict.fromkeys(each.timeframe for each in found)]
    from_where = words.source(each.source for each in found)
    return "\n".join([verdict, from_where, *ages, "", *(shown or ["Missing: none"]), *more])


def status(reader: Reader, exchange: str) -> str:
    told = reader.status(exchange)
    phase = f", phase {told.phase}" if told.phase else ""
    return "\n".join(
        [
            _freshness(reader, exchange),
            _streamed(told),
            f"State of its runner: {told.state}{phase}. Time at the exchange: {utc(told.now_ms)}.",
            "Source: what the exchange's runner says of itself, and Livermore's cache.",
        ]
    )


def _freshness(reader: Reader, exchange: str) -> str:
    try:
        found = reader.newest(exchange, count=NEWEST)
    except Unavailable as error:
        return f"UNKNOWN WHETHER COMPLETE, DO NOT RELY ON IT: {error}."
    if not found:
        return NOTHING
    stale = [f"{each.symbol} {each.timeframe}" for each in found if each.is_stale]
    verdict = f"COMPLETE: all {len(found)} pairs have their newest closed candle."
    if stale:
        named = ", ".join(stale[: words.SHOWN])
        more = f" and {len(stale) - words.SHOWN} more" if len(stale) > words.SHOWN else ""
        verdict = (
            f"STALE, DO NOT RELY ON THESE: {len(stale)} of {len(found)} pairs lack their newest "
            f"closed candle: {named}{more}."
        )
    return verdict + " Older holes are not looked at here; ask `missing`."


def _streamed(told: Status) -> str:
    live = "is streamed live now" if told.streamed else "is NOT streamed now: nothing new comes"
    if told.newest_close_ms is None:
        return f"{told.exchange} {live}. Age: its runner tells no close."
    close_age = words.ago(max(0, told.now_ms - told.newest_close_ms))
    return f"{told.exchange} {live}. Age: its newest close was {close_age}."


def _ages(found: Sequence[Candles], timeframe: str) -> str:
    ages = [each.age_ms for each in found if each.timeframe == timeframe]
    known = [each for each in ages if each is not None]
    if not known:
        return f"Age of {timeframe}: no closed candle is known."
    none = f"; of {len(ages) - len(known)} none is known" if len(known) < len(ages) else ""
    return f"Age of {timeframe}: the oldest of the newest closes was {words.ago(max(known))}{none}."


def _value_line(value: Mapping[str, Any], now_ms: int) -> str:
    opened: int | None = value.get("timestamp")
    cells = [
        value["symbol"],
        value["timeframe"],
        "yes" if value["current"] else "NO",
        utc(opened) if opened else "",
        words.ago(max(0, now_ms - opened - length_ms(value["timeframe"]))) if opened else "",
        *(value.get(name) for name in ("value", "signal", "histogram", "stage")),
        "yes" if value.get("coverageComplete") else "NO",
        value.get("reason") or ("" if opened else "no value is kept"),
    ]
    return ",".join("" if each is None else str(each) for each in cells)


TOOLS = (
    Tool(
        "pairs",
        "List the exchanges of the cache, whether each is streamed live, and its symbols and "
        "timeframes. Ask this first: other tools take these names.",
        {"exchange": Parameter("text", "the name of one exchange; all without it")},
        pairs,
    ),
    Tool(
        "candles",
        "Closed OHLCV candles of a symbol in a timeframe, as CSV, oldest first. The first line "
        "says whether they are COMPLETE, INCOMPLETE or STALE: tell it to the user where they are "
        "not complete.",
        {
            "exchange": EXCHANGE,
            "symbol": SYMBOL,
            "timeframe": Parameter("text", f"{' '.join([*KEPT, *DERIVED])}", required=True),
            "count": Parameter("number", f"how many, the newest; {COUNT} without it or a start"),
            "start": Parameter("text", "from when on, such as 2026-11-28T12:00 (UTC), included"),
            "end": Parameter("text", "until when, not included; now without it"),
            "live": Parameter("truth", "with the open candle too, which changes until it closes"),
        },
        candles,
    ),
    Tool(
        "macd_v",
        "MACD-V (momentum in units of volatility) of the newest closed candle of each pair, with "
        "signal, histogram and stage, as CSV. `current` says whether it stands on the newest one.",
        {"exchange": EXCHANGE, "symbols": SYMBOLS, "timeframes": TIMEFRAMES},
        macd_v,
    ),
    Tool(
        "missing",
        "Which closed candles are missing among the newest of each pair, and which pairs are "
        "stale. Ask this before you conclude anything from many pairs.",
        {
            "exchange": EXCHANGE,
            "symbols": SYMBOLS,
            "timeframes": Parameter(
                "names", f"of {' '.join([*KEPT, *DERIVED])}; without it all that are kept"
            ),
            "count": Parameter("number", f"among how many of the newest; {COUNT} without it"),
        },
        missing,
    ),
    Tool(
        "status",
        "Whether an exchange is streamed live now, its time, and which pairs lack their newest "
        "closed candle.",
        {"exchange": EXCHANGE},
        status,
    ),
)
