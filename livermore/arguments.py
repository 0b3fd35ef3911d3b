"""What a person types on a command line, turned into rows, or into one clear line."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.core.management.base import CommandParser

from exchanges.errors import clip
from exchanges.models import Exchange, Symbol
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.spelling import similar, symbols_as_listed
from livermore.command import UsageError
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

NAMES_SHOWN = 12


def add_exchange(parser: CommandParser, nargs: str | None = None) -> None:
    """Let a command take the name of an exchange; with `nargs` "?" none has to be given."""
    text = "name of the exchange's row, as `exchange` lists them"
    parser.add_argument("exchange", nargs=nargs, help=text)


def add_pairs(
    parser: CommandParser,
    symbols: str = "default: the monitored ones",
    timeframes: str = "all",
    exchange_nargs: str | None = None,
) -> None:
    """Let a command take an exchange, and which of its symbols and timeframes."""
    add_exchange(parser, exchange_nargs)
    parser.add_argument(
        "--symbols", metavar="A,B", help=f"these symbols, as in BTC-USD,ETH-USD ({symbols})"
    )
    parser.add_argument(
        "--timeframes",
        metavar="1d,1h",
        help=f"some of 1d 4h 1h 15m 5m 1m (default: {timeframes})",
    )


def exchange_named(name: str) -> Exchange:
    """Return the active exchange of that name; UsageError names those there are."""
    exchange = Exchange.objects.filter(name=name).first()
    if exchange is None:
        known = ", ".join(Exchange.objects.values_list("name", flat=True)) or "none yet"
        raise UsageError(f"unknown exchange {name!r}; known are: {known}")
    if not exchange.is_active:
        raise UsageError(f"exchange {name!r} is switched off; activate it in the admin first")
    return exchange


def moment_named(text: str | None, option: str) -> int | None:
    """Return a time such as `2026-11-01T12:00` in ms, None for None.

    It is in UTC where it names no zone.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} is a time such as 2023-01-01T12:00, not {text!r}") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def timeframes_named(text: str | None) -> tuple[Timeframe, ...]:
    """Return the timeframes of a text such as `1d,1h`, the longest first; all six for None."""
    if text is None:
        return LONGEST_FIRST
    names = _words(text, "--timeframes")
    if unknown := [name for name in names if name not in LONGEST_FIRST]:
        known = ", ".join(LONGEST_FIRST)
        raise UsageError(f"unknown timeframe {_listed(unknown)}; known are: {known}")
    return tuple(timeframe for timeframe in LONGEST_FIRST if timeframe in names)


def symbol_names(exchange: Exchange, text: str, option: str = "--symbols") -> list[str]:
    """Return the symbols of a text such as `BTC-USD,eth-usd`, as the exchange writes them.

    Those that it does not list are in capitals.
    """
    return symbols_as_listed(exchange, _words(text, option))


def symbols_to_fetch(exchange: Exchange, text: str | None) -> list[str]:
    """Return the symbols named in `text`, or where it is None the monitored ones that trade.

    UsageError where one that is named does not trade, or none of those monitored: an exchange is
    asked for nothing that makes no candles.
    """
    names = symbols_named(exchange, text)
    idle = {
        row.symbol: row
        for row in exchange.symbols.filter(symbol__in=names)
        if row.status != Symbol.Status.TRADING
    }
    trading = [name for name in names if name not in idle]
    if idle and (text is not None or not trading):
        rows = [f"{row.symbol} ({row.status_text})" for row in idle.values()]
        more = f" and {len(rows) - NAMES_SHOWN} more" if len(rows) > NAMES_SHOWN else ""
        raise UsageError(
            f"{exchange.name} is asked for nothing that does not trade: "
            f"{', '.join(rows[:NAMES_SHOWN])}{more}. It comes by itself once the listing says so; "
            f"`./run symbols {exchange.name} --sync` looks now"
        )
    return trading


def symbols_named(exchange: Exchange, text: str | None) -> list[str]:
    """Return the symbols named in `text`, or where it is None the monitored ones."""
    if text is None:
        monitored = list(exchange.symbols.monitored().values_list("symbol", flat=True))
        if not monitored:
            raise UsageError(
                f"no symbol of {exchange.name} is monitored; choose some with "
                f"`./run symbols {exchange.name} --sync --monitor BTC-USD`, or give --symbols"
            )
        return monitored
    names = symbol_names(exchange, text)
    known = set(exchange.symbols.filter(symbol__in=names).values_list("symbol", flat=True))
    if unknown := [name for name in names if name not in known]:
        raise UsageError(_unknown_symbols(exchange, unknown))
    return names


def ensure_listing(exchange: Exchange) -> None:
    """Fetch the exchange's listing if it never was fetched."""
    if not exchange.symbols.exists():
        fetch_listing(exchange)


def _words(text: str, option: str) -> list[str]:
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        raise UsageError(f"{option} names nothing; write them with commas between, as in A,B")
    return words


def _unknown_symbols(exchange: Exchange, unknown: Sequence[str]) -> str:
    listed = exchange.symbols.listed()
    names = list(listed.order_by("-is_monitored", "symbol").values_list("symbol", flat=True))
    near = [name for each in unknown for name in similar(each, names)]
    hint = f"similar are: {', '.join(dict.fromkeys(near))}"
    if not near:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        hint = f"known are: {', '.join(names[:NAMES_SHOWN]) or 'none yet'}{more}"
    return (
        f"unknown symbol on {exchange.name}: {_listed(unknown)}; {hint}. "
        f"`./run symbols {exchange.name} --sync` fetches the listing again"
    )


def _listed(words: Sequence[str]) -> str:
    """Return words as they were typed, but for what would be no line any more."""
    return ", ".join(map(clip, words))
