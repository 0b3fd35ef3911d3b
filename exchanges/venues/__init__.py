"""The registry of venues: which code speaks to which exchange.

Adding a venue is a folder beside this file and a line in `MAKERS`.
"""

import logging
from collections.abc import Callable, Mapping

from django_redis import get_redis_connection
from redis import Redis

from exchanges.credentials import Credentials, find_choice, find_credentials
from exchanges.errors import BadCredentials
from exchanges.models import Exchange
from exchanges.presets import answer_limits
from exchanges.rest.base import VenueRest
from exchanges.rest.client import RestClient
from exchanges.rest.pacing import BatchPacer, Pacer, WeightPacer, host_of
from exchanges.stream.base import VenueStream
from exchanges.transport.dialing import Route, hosts_in
from exchanges.venues.binance import rest as binance_rest
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase import rest as coinbase_rest
from exchanges.venues.coinbase.key import Key, KeyInUse, load_key
from exchanges.venues.coinbase.stream import CoinbaseStream

logger = logging.getLogger(__name__)

RestMaker = Callable[[Exchange, Redis, Mapping[str, str]], VenueRest]


class ExchangeAdapterFactory:
    """Makes what speaks to an exchange from its row; URLs and pace come from the row alone."""

    def __init__(self, redis: Redis):
        self._redis = redis

    def stream(self, exchange: Exchange) -> VenueStream:
        """Return the exchange's streaming side."""
        aliases = exchange.symbols.exclude(alias="").values_list("symbol", "alias")
        return stream_of(exchange, _native_symbols(exchange), dict(aliases))

    def rest(self, exchange: Exchange) -> VenueRest:
        """Return the exchange's REST side; `close()` it when done."""
        return MAKERS[exchange.venue](exchange, self._redis, _native_symbols(exchange))


def open_rest(exchange: Exchange) -> VenueRest:
    """Return the exchange's REST side on the configured Redis; `close()` it when done."""
    return ExchangeAdapterFactory(get_redis_connection("default")).rest(exchange)


def route_to(exchange: Exchange) -> Route:
    """Return the way to the exchange's hosts."""
    return Route(exchange.proxy, hosts_in(exchange.rest_url, exchange.ws_url))


def stream_of(
    exchange: Exchange, names: Mapping[str, str], aliases: Mapping[str, str]
) -> VenueStream:
    """Return the exchange's streaming side, which knows these canonical and native names."""
    return STREAMS[exchange.venue](exchange.ws_url, names, aliases, route_to(exchange))


def key_of(exchange: Exchange) -> tuple[Key | None, str]:
    """Return the key by which calls are signed, and why there is none although one was chosen."""
    credentials, load = find_credentials(exchange), KEYS.get(exchange.venue)
    if credentials is None or load is None:
        return None, find_choice(exchange).trouble
    try:
        return load(credentials, host_of(exchange.rest_url)), ""
    except BadCredentials as error:
        return None, str(error)


def key_in_use(exchange: Exchange) -> KeyInUse:
    """Return the key by which this process signs for an exchange, brought up to date.

    Who runs an exchange calls this now and then: all clients that are open take what was chosen
    since, or nothing more where that account may not be used any more.
    """
    used = _IN_USE.setdefault(exchange.pk, KeyInUse())
    used.key, trouble = key_of(exchange)
    if trouble and _TROUBLES.get(exchange.pk) != trouble:
        logger.warning("key.not_used exchange=%s reason=%s", exchange.name, trouble)
    _TROUBLES[exchange.pk] = trouble
    return used


def _native_symbols(exchange: Exchange) -> dict[str, str]:
    return dict(exchange.symbols.values_list("symbol", "native_symbol"))


def _binance(exchange: Exchange, redis: Redis, names: Mapping[str, str]) -> VenueRest:
    if exchange.pacing == Exchange.Pacing.WEIGHT:
        host = host_of(exchange.rest_url)
        pacer: Pacer = WeightPacer(redis, host, binance_rest.LIMITS_UNTIL_KNOWN)
    else:
        pacer = _batches(exchange, redis)

    def note_weight(headers: Mapping[str, str]) -> None:
        if (used := binance_rest.used_weight(headers)) is not None:
            pacer.observe_weight(used)

    client = RestClient(
        exchange.rest_url,
        pacer,
        workers=pacer.batch_size or binance_rest.WORKERS,
        read_error=binance_rest.read_error,
        read_headers=note_weight,
        is_own_error=binance_rest.is_own_error,
        elsewhere=binance_rest.elsewhere(host_of(exchange.rest_url)),
        route=route_to(exchange),
        limits=answer_limits(exchange.name),
    )
    return binance_rest.BinanceRest(exchange.pk, client, names)


def _coinbase(exchange: Exchange, redis: Redis, names: Mapping[str, str]) -> VenueRest:
    pacer = _batches(exchange, redis)  # it publishes no limits, so no weight could be kept
    key = key_in_use(exchange)
    client = RestClient(
        exchange.rest_url,
        pacer,
        workers=exchange.batch_size,
        read_error=coinbase_rest.read_error,
        is_own_error=coinbase_rest.is_own_error,
        sign=key.sign,
        route=route_to(exchange),
        limits=answer_limits(exchange.name),
    )
    return coinbase_rest.CoinbaseRest(exchange.pk, client, names, key=key)


def _batches(exchange: Exchange, redis: Redis) -> Pacer:
    host = host_of(exchange.rest_url)
    return BatchPacer(redis, host, exchange.batch_size, exchange.batch_delay_ms)


_IN_USE: dict[int, KeyInUse] = {}
_TROUBLES: dict[int, str] = {}  # what was said last of an exchange's key

# Venues that take a key for candles: where none is sent, none is loaded.
KEYS: dict[str, Callable[[Credentials, str], Key]] = {"coinbase": load_key}
MAKERS: dict[str, RestMaker] = {"binance": _binance, "coinbase": _coinbase}
STREAMS: dict[str, type[VenueStream]] = {"binance": BinanceStream, "coinbase": CoinbaseStream}
