"""How much of each symbol was traded in 24 hours, as the exchange told it lately.

Asked for where somebody wants to see it, and kept in Redis for all who ask after that. Nothing else
stands on it: where it isn't known everything goes on.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import orjson
from redis import Redis
from redis.exceptions import ResponseError

from exchanges import adapters
from exchanges.errors import LivermoreError, UnknownSymbol, clip
from exchanges.models import Exchange
from exchanges.redis.json_types import LARGEST_VALUE, parse_object
from exchanges.redis.unreadable import warn_once
from exchanges.rest.base import VenueRest
from livermore.market import keys
from livermore.market.candle import check_time

logger = logging.getLogger(__name__)

FRESH_MS = 300_000
KEPT_SECONDS = 3600  # what is older than FRESH_MS is shown, with its age, where nothing newer comes
MOST_CHOSEN = 1000


@dataclass(frozen=True, slots=True)
class Volumes:
    """24 hours in the quote currency, by canonical symbol; `at_ms` is when that was told.

    A symbol that is not in it: not known. `at_ms` None: nothing is known.
    """

    by_symbol: Mapping[str, float] = field(default_factory=dict)
    at_ms: int | None = None

    @property
    def is_fresh(self) -> bool:
        """Tell whether nobody has to be asked."""
        return self.at_ms is not None and 0 <= int(time.time() * 1000) - self.at_ms < FRESH_MS


@dataclass(frozen=True, slots=True)
class MostTraded:
    """The most traded symbols of a quote currency, the most traded first.

    `asked` is how many were asked for, `unknown` how many more trade without a known volume.
    """

    symbols: tuple[str, ...]
    quote: str
    asked: int
    unknown: int

    def __str__(self):
        count = len(self.symbols)
        if not count:
            return f"no symbol in {self.quote} has a known volume"
        if count == self.asked:
            text = f"the {count:,} most traded in {self.quote}"
        else:
            text = f"all {count:,} that were traded in {self.quote} in 24 hours"
        return f"{text} ({self.unknown:,} have no known volume)" if self.unknown else text


def read_volumes(redis: Redis, exchange_id: int) -> Volumes:
    """Return what is kept; nothing where it can't be understood."""
    try:
        text = redis.getrange(keys.volumes(exchange_id), 0, LARGEST_VALUE)
        if not text:
            return Volumes()
        stored = parse_object(text)
        by_symbol = {str(name): float(volume) for name, volume in stored["volumes"].items()}
        return Volumes(by_symbol, check_time(stored["at"]))
    except (ResponseError, LookupError, TypeError, AttributeError, ValueError) as error:
        warn_once(logger, keys.volumes(exchange_id), error)
        return Volumes()


def fetch_volumes(redis: Redis, exchange: Exchange) -> Volumes:
    """Ask the exchange and keep what it says; raises what the exchange or Redis says."""
    with closing(adapters.open_rest(exchange)) as rest:
        return ask_volumes(redis, exchange, rest, names_of(exchange))


def names_of(exchange: Exchange) -> dict[str, str]:
    """Return the canonical names of what is listed, by `market_name` of its venue's REST."""
    market_name = adapters.venue_of(exchange).rest.market_name
    rows = exchange.symbols.listed().values_list("native_symbol", "kind", "symbol")
    return {market_name(native, kind): symbol for native, kind, symbol in rows}


def ask_volumes(
    redis: Redis, exchange: Exchange, rest: VenueRest, names: Mapping[str, str]
) -> Volumes:
    """Do the same over a client that is open, with `names` as `names_of` returns them."""
    told = rest.list_volumes()
    by_symbol = {names[market]: volume for market, volume in told.items() if market in names}
    found = Volumes(by_symbol, int(time.time() * 1000))
    stored = orjson.dumps({"at": found.at_ms, "volumes": found.by_symbol})
    redis.set(keys.volumes(exchange.pk), stored, ex=KEPT_SECONDS)
    return found


def current_volumes(redis: Redis, exchange: Exchange) -> Volumes:
    """Return what was told within the last minutes, else what the exchange tells now.

    Where it tells nothing: what it told within the hour. Raises what the exchange says where that
    is nothing either.
    """
    kept = read_volumes(redis, exchange.pk)
    if kept.is_fresh:
        return kept
    try:
        return fetch_volumes(redis, exchange)
    except LivermoreError as error:
        if kept.at_ms is None:
            raise
        logger.warning("volumes.not_told exchange=%s error=%s", exchange.name, error)
        return kept


def check_choice(exchange: Exchange, quote: str, count: int) -> None:
    """Raise ValueError for a count that makes no sense, UnknownSymbol for a quote without symbols.

    Without a call to the exchange.
    """
    if not 1 <= count <= MOST_CHOSEN:
        raise ValueError(f"from 1 to {MOST_CHOSEN:,} symbols are chosen at once, not {count:,}")
    quotes = quotes_of(exchange)
    if not quotes:
        raise UnknownSymbol(f"{exchange.name} has no symbol that trades: sync its listing first")
    if quote not in quotes:
        raise UnknownSymbol(
            f"nothing trades in {clip(quote) or 'no currency'} on {exchange.name}; "
            f"its quote currencies are: {', '.join(quotes)}"
        )


def most_traded(
    exchange: Exchange, volumes: Volumes, quote: str, count: int, kind: str = ""
) -> MostTraded:
    """Return the `count` most traded symbols that trade in a quote currency, fewer where so few do.

    Equal volumes go by name. A symbol without a trade in 24 hours is not among them. Leveraged
    tokens and pairs of stablecoins are ranked as all others are. `kind` "" is all kinds.
    """
    rows = exchange.symbols.trading().filter(quote=quote, **({"kind": kind} if kind else {}))
    names = rows.values_list("symbol", flat=True)
    known = {name: volumes.by_symbol[name] for name in names if name in volumes.by_symbol}
    traded = [name for name, volume in known.items() if volume > 0]
    traded.sort(key=lambda name: (-known[name], name))
    return MostTraded(tuple(traded[:count]), quote, count, len(names) - len(known))


def quotes_of(exchange: Exchange) -> list[str]:
    """Return the quote currencies in which something trades, those with the most symbols first."""
    counts: dict[str, int] = {}
    for quote in exchange.symbols.trading().values_list("quote", flat=True):
        counts[quote] = counts.get(quote, 0) + 1
    return sorted(counts, key=lambda quote: (-counts[quote], quote))
