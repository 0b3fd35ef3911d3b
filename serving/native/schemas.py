"""What the answers of /v1/ are made of, as JSON Schema (2020-12) with units in words."""

from typing import Any

from exchanges.lock.status import State
from exchanges.symbols.listed import KINDS
from livermore.market.candle import EARLIEST_MS, LATEST_MS
from livermore.market.columns import COLUMNS as MORE_COLUMNS
from livermore.market.columns import MOST_TRADES
from livermore.market.derived import DERIVED
from livermore.market.indicators import Reason, Stage
from livermore.market.timeframe import Timeframe
from serving.native.parameters import EVENT_ID

Schema = dict[str, Any]

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", *MORE_COLUMNS)
SOURCE = r"^(derived|(cache\+)?history|(stream|healed|rest)(, (healed|rest))*)$"
KEPT = [str(each) for each in Timeframe]
TIMEFRAMES = [*KEPT, *DERIVED]


def number(meaning: str, **bounds: float) -> Schema:
    return {"type": "number", "description": meaning} | bounds


def price(meaning: str) -> Schema:
    return {"type": "number", "description": meaning, "exclusiveMinimum": 0}


def time(meaning: str) -> Schema:
    return {
        "type": "integer",
        "description": f"{meaning}, in UTC epoch milliseconds",
        "minimum": EARLIEST_MS,
        "maximum": LATEST_MS,
    }


def count(meaning: str) -> Schema:
    return {"type": "integer", "description": meaning, "minimum": 0}


def text(meaning: str, **more: Any) -> Schema:
    return {"type": "string", "description": meaning} | more


def truth(meaning: str) -> Schema:
    return {"type": "boolean", "description": meaning}


def or_null(schema: Schema, when: str) -> Schema:
    return schema | {
        "type": [schema["type"], "null"],
        "description": f"{schema['description']}; null {when}",
    }


def one_of(words: Any, meaning: str) -> Schema:
    return {"type": "string", "enum": [str(each) for each in words], "description": meaning}


def array(items: Schema, meaning: str, **more: Any) -> Schema:
    return {"type": "array", "items": items, "description": meaning} | more


def whole(meaning: str, properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that has these properties and no other."""
    return {
        "type": "object",
        "description": meaning,
        "properties": properties,
        "required": [each for each in properties if each not in optional],
        "additionalProperties": False,
    }


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(name: str, when: str) -> Schema:
    return {"oneOf": [ref(name), {"type": "null"}], "description": f"null {when}"}


UNTOLD = "where it is not known: the exchange doesn't tell it, or it was stored without it"
OF_A_BAR = {
    "timestamp": time("when the bar opened"),
    "open": price("the first price, in the quote currency"),
    "high": price("the highest price, in the quote currency"),
    "low": price("the lowest price, in the quote currency"),
    "close": price("the last price, in the quote currency"),
    "volume": number("what was traded, in the base currency", minimum=0),
    "quoteVolume": number("what was traded, in the quote currency", minimum=0),
    "trades": count("in how many trades") | {"maximum": MOST_TRADES},
    "takerBase": number("what takers bought, in the base currency", minimum=0),
    "takerQuote": number("what takers bought, in the quote currency", minimum=0),
}

STRETCH: Schema = {
    "type": "array",
    "prefixItems": [time("its begin, included"), time("its end, not included")],
    "items": False,
    "minItems": 2,
    "description": "a stretch of time",
}

CANDLE: Schema = {
    "type": "array",
    "prefixItems": [
        or_null(schema, UNTOLD) if name in MORE_COLUMNS else schema
        for name, schema in OF_A_BAR.items()
    ],
    "items": False,
    "minItems": len(COLUMNS),
    "description": "One bar: a value for each name in `columns`.",
}

CANDLES = whole(
    "Closed candles, oldest first, all of those that were asked for where `complete` is true.",
    {
        "exchange": text("the exchange's name"),
        "symbol": text("the symbol, by our name: BASE-QUOTE, or BASE-QUOTE-PERP"),
        "timeframe": one_of(TIMEFRAMES, "how long a bar is"),
        "columns": {
            "type": "array",
            "const": list(COLUMNS),
            "description": "What stands where in a candle.",
        },
        "complete": {
            "type": "boolean",
            "description": "No bar is missing between the first and the end of what was asked "
            "for; a bar that is left out had no trade. Where that can't be said the answer is 503, "
            "and false for who sent `partial`.",
        },
        "missing": array(
            ref("Stretch"), "Stretches of which candles are not known: none where all are there."
        ),
        "newestClose": or_null(
            time("the end of the newest closed candle that is known"), "where there is none"
        ),
        "time": time("the exchange's time"),
        "source": or_null(
            {
                "type": "string",
                "pattern": SOURCE,
                "description": "how the candles came, of several ways all of them: `stream` their "
                "closes were streamed, `healed` asked for over REST as no stream had told their "
                "closes, `rest` fetched otherwise; `derived` made of shorter ones, `history` of "
                "its files, `cache+history` of both",
            },
            "where that is not known any more",
        ),
        "next": or_null(
            time("the `start` of the next request for the same stretch"),
            "where there is no more of it, or no `start` was given",
        ),
        "candles": array(ref("Candle"), "Closed candles, oldest first."),
        "open": nullable("Candle", "where the open candle is not known, or not within `end`"),
    },
    optional=("open",),
)

MACD_V = {
    "type": "object",
    "description": "MACD-V as of a closed candle. A number that is not known yet is null.",
    "properties": {
        "exchangeId": count("the exchange's number"),
        "symbol": text("the symbol"),
        "timeframe": one_of(KEPT, "the timeframe"),
        "timestamp": time("when the candle opened that it stands on"),
        **{
            name: or_null(number(meaning), "while it is not known")
            for name, meaning in {
                "value": "MACD-V, in percent of an average true range",
                "signal": "the average of nine values",
                "histogram": "value less signal",
                "ema12": "the average of 12 closes, in the quote currency",
                "ema26": "the average of 26 closes, in the quote currency",
                "atr": "the average true range of 26, in the quote currency",
                "liquidity": "the share of bars that were traded in, 0 to 1",
            }.items()
        },
        "stage": or_null(text("where in its swing it is"), "without a signal")
        | {"enum": [*(str(each) for each in Stage), None]},
        "reason": or_null(text("why there is no signal"), "with one")
        | {"enum": [*(str(each) for each in Reason), None]},
        "seeded": truth("value, signal, histogram and stage are all there"),
        "nEff": count("true ranges that were observed"),
        "spanBars": count("bars from the first candle to the last"),
        "firstTimestamp": time("when the first candle opened"),
        "lastTimestamp": time("when the last candle opened"),
        "coverageComplete": truth("no bar between the two is unknown"),
    },
    "required": ["timestamp", "value"],
}

MACD_VALUES = whole(
    "MACD-V of pairs, by symbol; timeframes of each as they were asked for.",
    {
        "exchange": text("the exchange's name"),
        "streamed": truth("its stream comes now, so values are brought on with each close"),
        "values": array(
            whole(
                "One pair.",
                {
                    "symbol": text("the symbol"),
                    "timeframe": one_of(KEPT, "the timeframe"),
                    "macdV": nullable("MacdV", "where none is kept: fewer than 60 candles"),
                    "current": truth(
                        "it stands on the pair's newest closed candle, and no bar since then is "
                        "unknown: a value that is not current is an old one"
                    ),
                },
            ),
            "One for each symbol and timeframe.",
        ),
    },
)

EXCHANGES = whole(
    "All exchanges.",
    {
        "exchanges": array(
            whole(
                "One exchange.",
                {
                    "name": text("its name, by which it is asked for"),
                    "id": count("its number, which its keys in Redis have"),
                    "displayName": text("its name for people"),
                    "venue": text("the protocol that it speaks"),
                    "active": truth("it may be asked for anything"),
                    "monitored": array(text("a symbol"), "Symbols whose candles are kept."),
                    "kinds": array(
                        one_of(KINDS, "a kind of market"), "Of which kinds all are that it lists."
                    ),
                },
            ),
            "By name.",
        )
    },
)

SYMBOLS = whole(
    "The symbols that an exchange lists.",
    {
        "exchange": text("the exchange's name"),
        "symbols": array(
            whole(
                "One symbol.",
                {
                    "symbol": text("our name: BASE-QUOTE, of a perpetual BASE-QUOTE-PERP"),
                    "word": text("the same as one word in capitals, which is taken too"),
                    "base": text("the currency that is traded"),
                    "quote": text("the currency of its prices"),
                    "kind": one_of(KINDS, "what kind of market it is"),
                    "trading": truth("it can be traded now"),
                    "monitored": truth("its candles are kept, and brought on by the stream"),
                },
            ),
            "By name.",
        ),
    },
)

TICKERS = whole(
    "The last tickers, by symbol; of a symbol without one there is none.",
    {
        "exchange": text("the exchange's name"),
        "streamed": truth("its stream comes now"),
        "tickers": array(
            whole(
                "One ticker.",
                {
                    "symbol": text("the symbol"),
                    "price": price("the last price, in the quote currency"),
                    "change24h": number("what it has changed by in 24 hours, in the same"),
                    "changePercent24h": number("the same in percent"),
                    "high24h": number("the highest price of 24 hours"),
                    "low24h": number("the lowest price of 24 hours"),
                    "volume24h": number("what was traded in 24 hours, in the base currency"),
                    "timestamp": time("when the exchange told it"),
                },
            ),
            "One for each symbol of which one is known.",
        ),
    },
)

STATUS = whole(
    "What an exchange's runner says of itself; numbers are null where nobody runs it.",
    {
        "exchange": text("the exchange's name"),
        "state": one_of(State, "what the runner does; offline: there is none"),
        "phase": text("the same for a person, maybe empty"),
        "percent": or_null(
            number("how far that is, of a hundred", minimum=0), "where there is no end to it"
        ),
        "streamed": truth("the exchange's stream comes now"),
        "time": time("the exchange's time now; without a runner this machine's"),
        "heartbeat": or_null(time("when the runner said so"), "where nobody runs it"),
        "newestClose": or_null(
            time("the end of the newest bar whose close was written"), "before the first"
        ),
        "exchangeTime": or_null(
            time("the exchange's time, as it was at the heartbeat"), "where it has not told it"
        ),
        **{
            name: or_null(number(meaning), "where nobody runs it")
            for name, meaning in {
                "symbols": "symbols that are streamed",
                "closes": "closes written since the runner began",
                "healed": "of those, how many had to be asked for",
                "healing": "pairs that are being asked for",
                "pendingCloses": "closes that are not written yet",
            }.items()
        },
    },
)

ERROR = whole(
    "What is wrong, in one line for a person.",
    {
        "error": text("what is wrong, and what to do"),
        "missing": array(
            ref("Stretch"),
            "With 503: stretches of which candles are not known; none where it is for something "
            "else.",
        ),
    },
    optional=("missing",),
)

CLOSE_EVENT: Schema = {
    "type": "object",
    "description": "A bar that has closed.",
    "properties": {
        "exchangeId": count("the exchange's number"),
        "symbol": text("the symbol"),
        "timeframe": one_of(KEPT, "the timeframe"),
        **OF_A_BAR,
        "closed": {"const": True},
        "healed": truth("it was asked of the exchange, as its stream did not bring it"),
        "late": truth("later closes of the pair were told before it"),
        "again": truth("it may have been told before, under another id"),
    },
    "required": ["symbol", "timeframe", "timestamp", "open", "high", "low", "close", "volume"],
}

GAP_EVENT = whole(
    "Closes are missing here: those after `after` and before the next event. It goes on with the "
    "oldest one that is kept; `/v1/candles` has what was missed.",
    {
        "error": text("what is missing"),
        "after": text("the id after which events are missing", pattern=f"^{EVENT_ID}$"),
    },
)

STATE_EVENT = whole(
    "Whether the exchange is streamed has changed, or it is not when the answer begins.",
    {
        "streamed": truth(
            "its stream comes; while it doesn't no closes come, and those of the time are told "
            "when it does again"
        )
    },
)

SCHEMAS = {
    "Candle": CANDLE,
    "Candles": CANDLES,
    "Close": CLOSE_EVENT,
    "Error": ERROR,
    "Exchanges": EXCHANGES,
    "Gap": GAP_EVENT,
    "MacdV": MACD_V,
    "MacdVValues": MACD_VALUES,
    "State": STATE_EVENT,
    "Status": STATUS,
    "Stretch": STRETCH,
    "Symbols": SYMBOLS,
    "Tickers": TICKERS,
}
