"""What a caller wrote, as a source is asked it: wrong input is one clear line. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from operator import index

from livermore_reader.candles import SIX, TEN, Asked
from livermore_reader.errors import BadRequest
from livermore_reader.times import DERIVED, KEPT, length_ms, milliseconds

COUNT, MOST_KEPT = 500, 1000
MOST = 20_000_000  # 38 years of minutes
PERPETUAL, PERPETUAL_WORD = "-PERP", "_PERP"  # how its symbol ends, and its word
ONLY_PERPETUALS = "perpetual"  # the kind of all that such an exchange lists
When = str | int | date | None
Names = str | Sequence[str] | None  # of symbols, or of timeframes; None for all


def asked_of(
    exchange: str,
    symbol: str,
    timeframe: str,
    count: int | None,
    start: When,
    end: When,
    live: bool = False,
) -> Asked:
    """Return the question. Raises BadRequest."""
    length_ms(timeframe)
    if count is not None:
        count = count_of(count)
    start_ms = None if start is None else milliseconds(start)
    end_ms = None if end is None else milliseconds(end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise BadRequest("start has to be before end, which is not included itself")
    if count is None and start_ms is None:
        count = min(COUNT, most_of(timeframe))
    return Asked(exchange_of(exchange), symbol_of(symbol), timeframe, start_ms, end_ms, count, live)


def count_of(wanted: int) -> int:
    """Return a number of candles. Raises BadRequest."""
    try:
        found = 0 if isinstance(wanted, bool) else index(wanted)  # numpy has integers of its own
    except TypeError:
        found = 0
    if not 1 <= found <= MOST:
        raise BadRequest(f"count is a number of candles, 1 or more, not {str(wanted)[:40]!r}")
    return found


def exchange_of(name: str) -> str:
    """Return an exchange's name. Raises BadRequest for what is no name at all."""
    if not isinstance(name, str) or not name:
        raise BadRequest(f"{name!r} is no exchange's name, such as 'binance'")
    return name


def most_of(timeframe: str) -> int:
    """Return how many complete bars of a timeframe there can be of what is kept."""
    parts = DERIVED[timeframe][1] if timeframe in DERIVED else 1
    return MOST_KEPT if parts == 1 else MOST_KEPT // parts - 1


def columns_of(wanted: str | None) -> Sequence[str]:
    """Return the columns that are wanted. Raises BadRequest."""
    if wanted not in (None, "all"):
        raise BadRequest(f'columns={wanted!r}: there are six, and ten with columns="all"')
    return SIX if wanted is None else TEN


def column_of(wanted: str) -> int:
    """Return where one column stands. Raises BadRequest."""
    if wanted not in TEN[1:]:
        raise BadRequest(f"column={wanted!r}: there are {' '.join(TEN[1:])}")
    return TEN.index(wanted)


def symbol_of(name: str) -> str:
    """Return a symbol as sources are asked for it: `BASE-QUOTE`, or one word. Raises BadRequest.

    Its letters stay as they are: sources find it whatever their case, unless two differ in that
    alone.
    """
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{name!r} is no symbol, such as BTC-USDT")
    return name.strip().replace("/", "-")


def spelled(name: str, names: Mapping[str, str]) -> str | None:
    """Return what a name stands for among `names`: as it is, else in capitals; None for nothing."""
    return names.get(name) or names.get(name.upper())


def names_of(symbols: Sequence[str], kinds: Collection[str] = ()) -> Mapping[str, str]:
    """Return the symbols by all that they may be called, as `serve` does: names and words.

    All in capitals. A perpetual is `BTCUSDT_PERP`, and `BTCUSDT` too where `kinds`, those of all
    markets that the exchange lists, are perpetuals alone. What two are called is neither's.
    """
    found: dict[str, set[str]] = {}
    has_spot = {*kinds} != {ONLY_PERPETUALS}
    for symbol in symbols:
        is_perpetual = symbol.count("-") > 1 and symbol.endswith(PERPETUAL)
        market = symbol.removesuffix(PERPETUAL) if is_perpetual else symbol
        word = market.replace("-", "").upper()
        names = {symbol.upper(), word + PERPETUAL_WORD if is_perpetual else word}
        if is_perpetual and not has_spot:
            names.add(word)
        for name in names:
            found.setdefault(name, set()).add(symbol)
    of_one = {name: min(those) for name, those in found.items() if len(those) == 1}
    return {**of_one, **{each: each for each in symbols}}


def listed(names: Names, what: str) -> list[str]:
    """Return names that are given as one or as several, each once; none for None.

    Raises BadRequest.
    """
    try:
        each = [names] if isinstance(names, str) else list(() if names is None else names)
    except TypeError:
        each = [names]  # type: ignore[list-item]
    for name in each:
        if not isinstance(name, str):
            raise BadRequest(f"{what} are names, or a list of these, not {name!r}")
    return list(dict.fromkeys(map(str, each)))


def symbols_of(names: Names) -> list[str]:
    """Return several, each once; none for all. Raises BadRequest."""
    return list(dict.fromkeys(map(symbol_of, listed(names, "symbols"))))


def timeframes_of(names: Names) -> list[str]:
    """Return several, each once; those of which something is kept for None. Raises BadRequest."""
    wanted = listed(names, "timeframes") or list(KEPT)
    for each in wanted:
        length_ms(each)
    return wanted


def kept_timeframes(names: Names) -> list[str]:
    """Return those of which something is kept, all of them for None. Raises BadRequest."""
    wanted = listed(names, "timeframes") or list(KEPT)
    for each in wanted:
        if each not in KEPT:
            raise BadRequest(f"of {each!r} nothing is kept; there are {' '.join(KEPT)}")
    return wanted
