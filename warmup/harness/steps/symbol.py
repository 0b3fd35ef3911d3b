"""Which symbol to check with, and whether the exchange itself says that it trades."""

from collections.abc import Collection, Iterable

from exchanges.models import Exchange, Symbol
from exchanges.symbols.listed import ListedSymbol
from exchanges.symbols.spelling import similar, spelled
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome

# The liveliest market of most.
PREFERRED = ("BTC-USD", "BTC-USDT", "BTC-USDT-PERP", "BTC-USDC", "BTC-EUR")


def check_symbol(facts: Facts) -> Outcome:
    """Choose among what the exchange lists now, whatever the database knows."""
    listed = facts.ask(facts.rest.list_symbols)
    trouble = facts.rest.key_trouble
    market = choose(facts, listed)
    facts.choose(market)
    text = f"{market.symbol} trades, as {market.native_symbol}; {len(listed)} symbols are listed"
    notes = [trouble] if trouble else []
    if not _is_known(facts.exchange, market):
        notes.append(
            f"the database lists it otherwise: `./run symbols {facts.exchange.name} --sync`"
        )
    return Outcome(text, "; ".join(notes) or None)


def _is_known(exchange: Exchange, market: ListedSymbol) -> bool:
    row = exchange.symbols.filter(symbol=market.symbol).first()
    if row is None:
        return not exchange.symbols.exists()  # then whoever needs the listing fetches it
    return row.native_symbol == market.native_symbol and row.status == Symbol.Status.TRADING


def choose_from_database(facts: Facts) -> bool:
    """Choose among what the exchange listed when it was last asked; False where it never was."""
    rows = facts.exchange.symbols.listed()
    if not rows:
        return False
    facts.choose(choose(facts, [_as_listed(row) for row in rows]))
    return True


def choose(facts: Facts, listed: Iterable[ListedSymbol]) -> ListedSymbol:
    """Return the symbol that was asked for, else one that is likely to be lively.

    Raises Failed where there is none, or the one that was asked for does not trade.
    """
    # Of two native names for one symbol the one that trades comes last, and stays.
    by_name = {each.symbol: each for each in sorted(listed, key=lambda each: bool(each.is_trading))}
    if facts.wanted is not None:
        [wanted] = spelled([facts.wanted], by_name)
        return _wanted(facts.exchange, wanted, by_name)
    monitored = facts.exchange.symbols.kept_warm().values_list("symbol", flat=True)
    for symbol in (*PREFERRED, *monitored):
        if symbol in by_name and by_name[symbol].is_trading:
            return by_name[symbol]
    raise Failed(
        f"none of {', '.join(PREFERRED)} trades, nor any monitored symbol",
        "name one that does with --symbol",
        ["symbol"],
    )


def _wanted(exchange: Exchange, symbol: str, by_name: dict[str, ListedSymbol]) -> ListedSymbol:
    if symbol not in by_name:
        raise Failed(
            f"{exchange.name} does not list {symbol}",
            f"choose another with --symbol{_similar(symbol, by_name)}",
            ["symbol"],
        )
    if not by_name[symbol].is_trading:
        raise Failed(
            f"{symbol} is listed, but does not trade now",
            "choose another with --symbol; nothing is asked for this one until it trades again",
            ["symbol"],
        )
    return by_name[symbol]


def _similar(symbol: str, names: Collection[str]) -> str:
    near = similar(symbol, names)
    return f"; similar are: {', '.join(near)}" if near else ""


def _as_listed(row: Symbol) -> ListedSymbol:
    is_trading = row.status == Symbol.Status.TRADING
    names = (row.symbol, row.native_symbol, row.base, row.quote)
    return ListedSymbol(*names, is_trading, alias=row.alias, kind=row.kind)
